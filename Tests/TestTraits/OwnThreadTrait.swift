import TestKit
public import Testing

/// Runs tests where they may wait for other threads and for processes (`OwnThreads`), a few at a
/// time (`WaitingTests`).
public struct OwnThreadTrait: SuiteTrait, TestTrait, TestScoping {
    public var isRecursive: Bool { true }

    @concurrent
    public func provideScope(
        for test: Test, testCase: Test.Case?,
        performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        try await WaitingTests.shared.run(test.name) {
            try await withTaskExecutorPreference(OwnThreads.shared) { try await function() }
        }
    }
}

extension Trait where Self == OwnThreadTrait {
    /// For each suite whose tests wait.
    public static var ownThread: Self { Self() }
}
