internal import Synchronization

/// The number of connections that the loops of a node may still close for a rebalance.
final class ShedBudget: Sendable {
    private let remaining: Mutex<Int>

    init(_ count: Int) { self.remaining = Mutex(count) }

    /// Takes at most this many, or what is left.
    func take(upTo count: Int) -> Int {
        self.remaining.withLock { remaining in
            let taken = min(count, remaining)
            remaining -= taken
            return taken
        }
    }
}
