import Bytes
import ChatModel

/// What a loop knows of its exchange with one other loop.
struct Peer: Sendable {
    let id: OwnerID
    /// What leaves at the end of the turn.
    var items: [Envelope.Item] = []
    /// What is not urgent: leaves with the next envelope, whose publish and wake-up are paid for already.
    var riders: [Envelope.Item] = []
    /// What leaves with this turn's writes, in the step that stores them.
    var news: [Envelope.Item] = []
    static let riderLimit = 1024
    private(set) var sent: UInt64 = 0
    private var received: UInt64 = 0

    enum Arrival { case next, duplicate, gap }

    init(id: OwnerID) {
        self.id = id
    }

    /// What has gathered, as an envelope for now, and one that leaves with this turn's writes; nil where there is nothing to say.
    mutating func seal(from: OwnerID, view: Int) -> (mail: Envelope?, news: Envelope?) {
        // A publish, and two wake-ups, are saved where nobody waits for it should the write fail.
        let rides = !self.news.isEmpty && self.items.allSatisfy(\.isByTheWay)
        if !self.items.isEmpty || rides, !self.riders.isEmpty {
            // They were said earlier.
            swap(&self.items, &self.riders)
            self.items.append(contentsOf: self.riders)
            self.riders.clear(keepingRoomFor: 64)
        }
        if rides, !self.items.isEmpty {
            swap(&self.items, &self.news)
            self.news.append(contentsOf: self.items)
            self.items = []
        }
        // Numbered in the order in which they leave.
        let mail = self.envelope(of: exchange(&self.items, with: []), from: from, view: view)
        return (mail, self.envelope(of: exchange(&self.news, with: []), from: from, view: view))
    }

    private mutating func envelope(of items: consuming [Envelope.Item], from: OwnerID, view: Int) -> Envelope? {
        guard !items.isEmpty else { return nil }
        self.sent += 1
        return Envelope(from: from, to: self.id, number: self.sent, view: view, items: items)
    }

    /// What still waits for other mail leaves at the end of this turn.
    mutating func hurry() {
        if self.items.isEmpty { swap(&self.items, &self.riders) }
    }

    /// A lost *last* envelope shows only to who is told what the last one was.
    func tick(from: OwnerID, view: Int) -> Envelope? {
        guard self.sent > 0 else { return nil }
        return Envelope(from: from, to: self.id, number: self.sent, view: view, items: [])
    }

    /// Judges an envelope by its number. One that comes after a later one counts as lost: its work is repaired, not done
    /// (but for news, which can be told apart by themselves).
    mutating func arrived(_ envelope: Envelope) -> Arrival {
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
