import Bytes
import ChatModel

/// What a loop knows of its exchange with one other loop.
struct PeerLoop: Sendable {
    let id: LoopID
    /// What leaves at the end of the turn.
    var items: [Envelope.Item] = []
    /// What is not urgent: leaves with the next envelope, whose publish and wake-up are paid for already.
    var deferredItems: [Envelope.Item] = []
    /// What leaves with this turn's writes, in the step that stores them.
    var itemsWithWrite: [Envelope.Item] = []
    static let deferredLimit = 1024
    private(set) var sent: UInt64 = 0
    private var received: UInt64 = 0

    enum Arrival { case next, duplicate, gap }

    init(id: LoopID) {
        self.id = id
    }

    /// What has gathered, as an envelope for now, and one that leaves with this turn's writes; nil where there is nothing to say.
    mutating func seal(from: LoopID, view: Int) -> (mail: Envelope?, news: Envelope?) {
        // A publish, and two wake-ups, are saved where nobody waits for it should the write fail.
        let rides = !self.itemsWithWrite.isEmpty && self.items.allSatisfy(\.isEphemeral)
        if !self.items.isEmpty || rides, !self.deferredItems.isEmpty {
            // They were said earlier.
            swap(&self.items, &self.deferredItems)
            self.items.append(contentsOf: self.deferredItems)
            self.deferredItems.clear(keepingCapacityUpTo: 64)
        }
        if rides, !self.items.isEmpty {
            swap(&self.items, &self.itemsWithWrite)
            self.itemsWithWrite.append(contentsOf: self.items)
            self.items = []
        }
        // Numbered in the order in which they leave.
        let mail = self.envelope(of: exchange(&self.items, with: []), from: from, view: view)
        return (
            mail,
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

    /// What still waits for other mail leaves at the end of this turn.
    mutating func flushDeferred() {
        if self.items.isEmpty { swap(&self.items, &self.deferredItems) }
    }

    /// A lost *last* envelope shows only to who is told what the last one was.
    func tick(from: LoopID, view: Int) -> Envelope? {
        guard self.sent > 0 else { return nil }
        return Envelope(from: from, to: self.id, number: self.sent, view: view, items: [])
    }

    /// Judges an envelope by its number. One that comes after a later one counts as lost: its work is repaired, not done
    /// (but for news, which can be told apart by themselves).
    mutating func recordArrival(_ envelope: Envelope) -> Arrival {
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
