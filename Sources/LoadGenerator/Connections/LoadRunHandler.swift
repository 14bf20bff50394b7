import EventLoop
import Synchronization

/// Lends a run to its loop, and ends the loop with it.
final class LoadRunHandler: EventLoopHandler {
    private let run: LoopBound<LoadRun>
    private let finalReport = Mutex<BenchmarkReport?>(nil)

    init(_ run: sending LoadRun, on loop: EventLoop) {
        self.run = LoopBound(run, on: loop)
    }

    /// How the run went; nil while it lasts.
    var report: BenchmarkReport? { self.finalReport.withLock { $0 } }

    func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {
        self.run.with { $0.socketReady(token, readable: readable, writable: writable) }
    }

    func turnEnding() {
        guard self.report == nil else { return }
        let report = self.run.with { run -> BenchmarkReport? in
            guard run.turnEnding() else { return nil }
            let report = run.report()
            run.closeAll()
            return report
        }
        guard let report else { return }
        self.finalReport.withLock { $0 = report }
        self.run.loop.stop()
    }

    func loopStopping() {
        self.run.with { $0.deallocate() }
    }
}
