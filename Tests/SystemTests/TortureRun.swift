import ClusterTorture
import Foundation

extension Torture {
    /// Ends the run. If a promise was broken, keeps the logs of all processes and prints their
    /// folder.
    func finishKeepingLogs() throws -> TortureResult {
        let result = try self.finish()
        guard result.violationCount > 0 else { return result }
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "confab-torture-\(UUID().uuidString)"
        ).path
        try self.writeLogs(to: folder)
        print("logs: \(folder)")
        return result
    }
}
