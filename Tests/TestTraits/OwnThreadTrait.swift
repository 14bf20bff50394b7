import TestKit
public import Testing

/// Runs tests where they may wait for other threads and for processes (`OwnThreads`).
public struct OwnThreadTrait: SuiteTrait, TestTrait, TestScoping {
    public var isRecursive: Bool { true }

    /// With `CONFAB_TEST_TIMES=1` prints the seconds of each test, without the time in which it
    /// waited for its turn, which Swift Testing counts too.
    @concurrent
    public func provideScope(
        for test: Test, testCase: Test.Case?,
        performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        let start = ContinuousClock.now
        defer {
            if TestRun.showsTimes, testCase != nil {
                print("seconds:", (.now - start) / .seconds(1), test.name)
            }
        }
        // Outside of the preference, the test's end would wait for one of Swift's threads.
        try await withTaskExecutorPreference(OwnThreads.shared) { try await function() }
    }
}

extension Trait where Self == OwnThreadTrait {
    /// For each suite whose tests wait, and for those that compute for seconds: they would keep
    /// Swift's threads, which also begin and end all other tests, for a minute.
    public static var ownThread: Self { Self() }
}
