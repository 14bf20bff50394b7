import Foundation
import Testing

/// For tests that wait for sockets of a node in their own process: the node answers with the help of `Task`s, and those would find no thread
/// if tests stood on all that there are for tasks.
struct BlockingTrait: SuiteTrait, TestTrait, TestScoping {
    private final class Threads: TaskExecutor {
        func enqueue(_ job: consuming ExecutorJob) {
            let job = UnownedJob(job)
            Thread.detachNewThread { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
        }
    }

    var isRecursive: Bool { true }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        try await withTaskExecutorPreference(Threads()) { try await function() }
    }
}

extension Trait where Self == BlockingTrait {
    static var blocking: BlockingTrait { BlockingTrait() }
}
