import Synchronization
import TestKit
import TestTraits
import Testing

@Suite("A test with a thread of its own", .ownThread)
struct OwnThreadTests {
    private final class SharedProgress: Sendable {
        let waiting = Mutex(0)
        let hasTaskRun = Mutex(false)
    }

    @Test("may wait for other such tests, and for a task, however few cores there are")
    func waiting() async throws {
        let progress = SharedProgress()
        try await withThrowingTaskGroup(of: Void.self) { group in
            let count = 64
            for _ in 0..<count {
                group.addTask {
                    progress.waiting.withLock { $0 += 1 }
                    try Deadline.wait(for: "the others and the task") {
                        progress.waiting.withLock { $0 } == count
                            && progress.hasTaskRun.withLock { $0 }
                    }
                }
            }
            Task { progress.hasTaskRun.withLock { $0 = true } }
            try await group.waitForAll()
        }
    }
}
