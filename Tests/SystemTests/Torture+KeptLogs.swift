import ClusterTorture

extension Torture {
    /// Ends the run. If a promise was broken, keeps the logs of all processes and prints their
    /// folder.
    func finishKeepingLogs() throws -> TortureResult {
        let result = try self.finish()
        if result.violationCount > 0 { print("logs: \(try self.writeLogs())") }
        return result
    }
}
