import Foundation
import Synchronization
import TestKit

/// The tests that wait for threads, sockets and processes: only a few run at a time.
///
/// Swift Testing starts all tests at once. Thousands of clients, nodes and servers would share the
/// machine, and their deadlines would pass. Tests of values are not limited: they wait for nothing.
final class WaitingTests: Sendable {
    /// `CONFAB_TEST_WIDTH`, or twice as many as the machine has cores.
    static let shared = WaitingTests(
        width: ProcessInfo.processInfo.environment["CONFAB_TEST_WIDTH"].flatMap { Int($0) }
            ?? 2 * ProcessInfo.processInfo.activeProcessorCount)

    private struct State {
        var free: Int
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    /// Whether the present task already runs as one of these tests: a suite in a suite.
    @TaskLocal private static var isRunning = false
    private let state: Mutex<State>

    init(width: Int) { self.state = Mutex(State(free: max(1, width))) }

    /// Runs the test when a place is free. With `CONFAB_TEST_TIMES=1` prints its seconds, without
    /// the time until then, which Swift Testing counts too.
    func run(
        _ name: String, _ test: @concurrent @Sendable () async throws -> Void
    ) async throws {
        guard !Self.isRunning else { return try await test() }
        await self.enter()
        let start = ContinuousClock.now
        defer {
            if TestRun.showsTimes { print("seconds:", (.now - start) / .seconds(1), name) }
            self.leave()
        }
        try await Self.$isRunning.withValue(true) { try await test() }
    }

    private func enter() async {
        await withCheckedContinuation { continuation in
            let isFree = self.state.withLock { state in
                guard state.free == 0 else {
                    state.free -= 1
                    return true
                }
                state.waiting.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    /// The place of a test that has ended goes to the one that came last. So a serialized suite
    /// continues at once, and does not wait behind all others for each of its tests.
    private func leave() {
        let next = self.state.withLock { state in
            let next = state.waiting.popLast()
            if next == nil { state.free += 1 }
            return next
        }
        next?.resume()
    }
}
