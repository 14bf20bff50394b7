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
        // The place of a test must be free as soon as the test has ended. Outside of the preference
        // its task would wait for one of Swift's threads, behind all tests of values.
        try await withTaskExecutorPreference(OwnThreads.shared) {
            try await WaitingTests.shared.run(test.name) { try await function() }
        }
    }
}

extension Trait where Self == OwnThreadTrait {
    /// For each suite whose tests wait, and for those that compute for seconds: they would keep
    /// Swift's threads, which also begin and end all other tests, for a minute.
    public static var ownThread: Self { Self() }
}
