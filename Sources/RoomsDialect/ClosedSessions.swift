import Synchronization

/// Clients that have said goodbye (Socket.IO's DISCONNECT): nobody goes on where they were, though their passes are good.
///
/// Of each node by itself, which tells the others. One that is not told, or has forgotten, lets a client go on once more: that does no harm.
final class ClosedSessions: Sendable {
    private struct State {
        var sids: Set<String> = []
        /// The oldest first.
        var insertionOrder: [String] = []
    }

    private let state = Mutex(State())
    private let limit: Int

    init(limit: Int = 65_536) {
        self.limit = limit
    }

    func insert(_ sid: String) {
        // What other nodes say is bounded, too.
        guard sid.utf8.count <= 64 else { return }
        self.state.withLock { state in
            guard state.sids.insert(sid).inserted else { return }
            state.insertionOrder.append(sid)
            guard state.insertionOrder.count > self.limit else { return }
            // Half of them at once, so that each is moved once.
            for old in state.insertionOrder.prefix(self.limit / 2) { state.sids.remove(old) }
            state.insertionOrder.removeFirst(self.limit / 2)
        }
    }

    func contains(_ sid: String) -> Bool { self.state.withLock { $0.sids.contains(sid) } }
}
