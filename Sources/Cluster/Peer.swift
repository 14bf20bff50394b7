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

    /// What has gathered, as an envelope; nil when nothing that is urgent has.
    mutating func seal(from: OwnerID, view: Int) -> Envelope? {
        guard !self.items.isEmpty else { return nil }
        self.sent += 1
        if !self.riders.isEmpty {
            // They were said earlier.
            swap(&self.items, &self.riders)
            self.items.append(contentsOf: self.riders)
            self.riders.clear(keepingRoomFor: 64)
        }
        defer { self.items = [] }
        return Envelope(from: from, to: self.id, number: self.sent, view: view, items: self.items)
    }

    /// What leaves with the writes, as an envelope; nil when nothing does.
    mutating func sealNews(from: OwnerID, view: Int) -> Envelope? {
        guard !self.news.isEmpty else { return nil }
        self.sent += 1
        defer { self.news = [] }
        return Envelope(from: from, to: self.id, number: self.sent, view: view, items: self.news)
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
