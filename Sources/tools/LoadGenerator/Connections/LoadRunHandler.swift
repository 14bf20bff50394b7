import EventLoop
import Synchronization

/// Drives a run on its event loop, and stops the loop after the run.
final class LoadRunHandler: EventLoopHandler {
    private let run: LoopBound<LoadRun>
    private let finalReport = Mutex<BenchmarkReport?>(nil)

    init(_ run: sending LoadRun, on loop: EventLoop) {
        self.run = LoopBound(run, on: loop)
    }

    /// Nil while the run lasts.
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
