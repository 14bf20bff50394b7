import Synchronization

/// Sessions that their clients have closed with Socket.IO's DISCONNECT. Their recovery tokens are
/// no longer accepted.
///
/// Every node has its own set and broadcasts additions to the other nodes. If a node misses one, or
/// has dropped it, a client can resume a closed session there, which does no harm.
final class ClosedSessions: Sendable {
    private struct State {
        var sids: Set<String> = []
        /// Oldest first.
        var insertionOrder: [String] = []
    }

    private let state = Mutex(State())
    private let limit: Int

    init(limit: Int = 65_536) {
        self.limit = limit
    }

    func insert(_ sid: String) {
        // Ids from other nodes are bounded too.
        guard sid.utf8.count <= 64 else { return }
        self.state.withLock { state in
            guard state.sids.insert(sid).inserted else { return }
            state.insertionOrder.append(sid)
            guard state.insertionOrder.count > self.limit else { return }
            // Drops half of the ids at once, so that each id is moved at most once.
            for old in state.insertionOrder.prefix(self.limit / 2) { state.sids.remove(old) }
            state.insertionOrder.removeFirst(self.limit / 2)
        }
    }

    func contains(_ sid: String) -> Bool { self.state.withLock { $0.sids.contains(sid) } }
}
