import Foundation
import Synchronization

/// Threads for tests that wait: each job starts at once, on an idle thread or on a further one.
///
/// Swift's shared threads are as few as the processor's cores. While tests block all of them, no
/// task of a node makes progress, and its deadlines pass.
public final class OwnThreads: TaskExecutor {
    public static let shared = OwnThreads()

    private struct State {
        var jobs: [UnownedJob] = []
        /// The threads that wait for a job and were not woken for one.
        var idleThreads = 0
    }

    /// Whether a test of this process has used these threads; then all must.
    private static let areUsed = Atomic(false)
    private let state = Mutex(State())
    private let arrivals = DispatchSemaphore(value: 0)

    private init() { Self.areUsed.store(true, ordering: .relaxed) }

    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let wakesThread = self.state.withLock { state in
            state.jobs.append(job)
            guard state.idleThreads > 0 else { return false }
            state.idleThreads -= 1
            return true
        }
        if wakesThread {
            self.arrivals.signal()
        } else {
            Thread.detachNewThread { self.runJobs() }
        }
    }

    private func runJobs() {
        while true {
            let job: UnownedJob? = self.state.withLock { state in
                guard state.jobs.isEmpty else { return state.jobs.removeFirst() }
                state.idleThreads += 1
                return nil
            }
            guard let job else {
                self.arrivals.wait()
                continue
            }
            job.runSynchronously(on: self.asUnownedTaskExecutor())
        }
    }

    /// Stops the tests if a task is about to block one of Swift's shared threads.
    static func expectOwn() {
        guard self.areUsed.load(ordering: .relaxed) else { return }
        let isOwn = withUnsafeCurrentTask { task in
            task.map { $0.unownedTaskExecutor == self.shared.asUnownedTaskExecutor() } ?? true
        }
        precondition(isOwn, "A test that waits, or its suite, needs the trait `ownThread`.")
    }
}
