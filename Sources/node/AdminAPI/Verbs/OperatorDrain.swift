internal import Synchronization

/// The drain that this node performs for an operator.
///
/// A drain takes its steps one by one, and a resume or another drain ends it between two steps. A
/// cancelled task alone would not do: it may have checked its cancellation just before.
final class OperatorDrain: Sendable {
    private struct State {
        /// The number of the current drain; a drain with another one has ended.
        var number = 0
        var task: Task<Void, Never>?
        var isShuttingDown = false
    }

    private let state = Mutex(State())

    /// A drain as its own task uses it.
    struct DrainRun: Sendable {
        fileprivate let number: Int
        fileprivate let drain: OperatorDrain

        /// Takes a step, unless the drain has ended.
        ///
        /// - Parameter body: must not use the drain.
        /// - Returns: false if the drain has ended.
        @discardableResult
        func step(_ body: () -> Void) -> Bool {
            self.drain.state.withLock { state in
                guard state.number == self.number else { return false }
                body()
                return true
            }
        }
    }

    /// Replaces the drain before.
    ///
    /// - Parameters:
    ///   - begin: the first step, which is done when this returns.
    ///   - work: the other steps.
    func start(_ begin: () -> Void, then work: @escaping @Sendable (DrainRun) async -> Void) {
        self.state.withLock { state in
            state.task?.cancel()
            state.number += 1
            begin()
            let run = DrainRun(number: state.number, drain: self)
            state.task = Task { await work(run) }
        }
    }

    /// Ends the drain. No step of it follows `resume`.
    ///
    /// - Returns: false if the node is shutting down, and is not resumed.
    func end(_ resume: () -> Void) -> Bool {
        self.state.withLock { state in
            state.task?.cancel()
            state.task = nil
            state.number += 1
            guard !state.isShuttingDown else { return false }
            resume()
            return true
        }
    }

    /// The node is shutting down and cannot be resumed any more.
    func beginShutdown() { self.state.withLock { $0.isShuttingDown = true } }
}
