import Bytes
import ChatModel

/// A loop's exchange with one other loop.
struct PeerLoop: Sendable {
    let id: LoopID
    /// Items that leave at the end of the turn.
    var items: [Envelope.Item] = []
    /// Items without urgency. They leave with the next envelope, whose publish and wake-up are
    /// needed anyway.
    var deferredItems: [Envelope.Item] = []
    /// Items that leave with this turn's writes, in the step that stores them.
    var itemsWithWrite: [Envelope.Item] = []
    static let deferredLimit = 1024
    private(set) var sent: UInt64 = 0
    private var received: UInt64 = 0
    /// The newest view that its envelopes named.
    private(set) var view = 0

    enum Arrival { case next, duplicate, gap }

    /// - Parameter sent: the number before that of the first envelope.
    init(id: LoopID, sent: UInt64 = 0) {
        self.id = id
        self.sent = sent
    }

    /// Seals the pending items: one envelope to send now, and one that leaves with this turn's
    /// writes; nil if there is nothing to send.
    mutating func seal(from: LoopID, view: Int) -> (envelope: Envelope?, withWrite: Envelope?) {
        // If no item needs to arrive when the write fails, the items leave with the write. This
        // saves one publish and two wake-ups.
        let leavesWithWrite = !self.itemsWithWrite.isEmpty && self.items.allSatisfy(\.isEphemeral)
        if !self.items.isEmpty || leavesWithWrite, !self.deferredItems.isEmpty {
            // The deferred items are older.
            swap(&self.items, &self.deferredItems)
            self.items.append(contentsOf: self.deferredItems)
            self.deferredItems.clear(keepingCapacityUpTo: 64)
        }
        if leavesWithWrite, !self.items.isEmpty {
            swap(&self.items, &self.itemsWithWrite)
            self.itemsWithWrite.append(contentsOf: self.items)
            self.items = []
        }
        // Envelopes are numbered in the order in which they leave.
        let envelope = self.envelope(of: exchange(&self.items, with: []), from: from, view: view)
        return (
            envelope,
            self.envelope(of: exchange(&self.itemsWithWrite, with: []), from: from, view: view)
        )
    }

    private mutating func envelope(of items: consuming [Envelope.Item], from: LoopID, view: Int)
        -> Envelope?
    {
        guard !items.isEmpty else { return nil }
        self.sent += 1
        return Envelope(from: from, to: self.id, number: self.sent, view: view, items: items)
    }

    /// Moves the deferred items to the envelope at the end of this turn.
    mutating func flushDeferred() {
        if self.items.isEmpty { swap(&self.items, &self.deferredItems) }
    }

    /// An empty envelope with the last number, without which the loss of the last envelope would go
    /// unnoticed.
    func tick(from: LoopID, view: Int) -> Envelope? {
        guard self.sent > 0 else { return nil }
        return Envelope(from: from, to: self.id, number: self.sent, view: view, items: [])
    }

    /// Classifies an envelope by its number. One that arrives after a later one counts as lost: its
    /// effects are repaired instead of applied, except durable events, which have revisions.
    mutating func recordArrival(_ envelope: Envelope) -> Arrival {
        self.view = max(self.view, envelope.view)
        if envelope.items.isEmpty {
            guard envelope.number > self.received else { return .duplicate }
            self.received = envelope.number
            return .gap
        }
        guard envelope.number > self.received else { return .duplicate }
        defer { self.received = envelope.number }
        return envelope.number == self.received + 1 ? .next : .gap
    }
}
