import ClusterTorture
import TestTraits
import Testing

/// All suites with runs of `script/torture`, one after the other: three nodes, Redis and two dozen
/// clients use the whole machine.
@Suite("While users chat,", .programs, .serialized, .ownThread)
enum TortureSuites {}

extension Torture {
    /// Ends the run. If a promise was broken, keeps the logs of all processes and prints their
    /// folder.
    func finishKeepingLogs() throws -> TortureResult {
        let result = try self.finish()
        if result.violationCount > 0 { print("logs: \(try self.writeLogs())") }
        return result
    }
}
