import Bytes
import ChatCore
import ChatModel

/// What a loop has shown within the time that a store may forget, so that it sees when the store has other messages in the end.
///
/// One ring for all feeds and not a list for each: of a hundred thousand quiet conversations each would else keep its last ones for ever.
struct DeliveryLog: Sendable {
    struct Item: Sendable {
        let feed: FeedID
        /// 0 for a change that is of no message.
        let sequence: SequenceNumber
        let revision: Revision
        /// Of what makes a message this one; nil for an edit or a deletion.
        let identity: Int?
        let at: Int64
    }

    private let window: Int64
    private var items: [Item] = []
    private var next = 0
    static let limit = 16_384

    /// - Parameter within: zero of a store that forgets nothing: then nothing is kept.
    init(within hold: Duration) {
        self.window = hold.wholeMilliseconds
    }

    var isEnabled: Bool { self.window > 0 }

    mutating func record(
        _ event: ChatEvent, _ revision: Revision, in feed: FeedID, at now: ClockReading
    ) {
        guard self.isEnabled else { return }
        let item =
            switch event {
            case .posted(let message):
                Item(
                    feed: feed, sequence: message.sequence, revision: revision,
                    identity: Self.identity(of: message), at: now.monotonic)
            case .edited(let message), .deleted(let message):
                Item(
                    feed: feed, sequence: message.sequence, revision: revision, identity: nil,
                    at: now.monotonic)
            default:
                Item(feed: feed, sequence: 0, revision: revision, identity: nil, at: now.monotonic)
            }
        if self.items.count < Self.limit {
            self.items.append(item)
        } else {
            self.items[self.next] = item
            self.next = (self.next + 1) % Self.limit
        }
    }

    /// Whether it was sent within that time, by the clocks of its owner and this loop.
    func mayBeLost(_ message: Message, at now: ClockReading) -> Bool {
        message.sentAt.milliseconds >= now.wall.milliseconds - self.window
    }

    /// Says of two messages under one number that they are one, whatever became of its words.
    static func identity(of message: Message) -> Int {
        var hasher = Hasher()
        hasher.combine(message.sentAt.milliseconds)
        hasher.combine(message.body.author.id)
        hasher.combine(message.body.clientMessageID)
        return hasher.finalize()
    }

    /// Whether a message was shown as it became after this revision: edited or deleted, by itself or with what was missed.
    func hasAmended(_ sequence: SequenceNumber, since revision: Revision, in feed: FeedID) -> Bool {
        self.items.contains { $0.feed == feed && $0.sequence == sequence && $0.revision > revision }
    }

    /// What may be shown otherwise, by feed, each in the order in which it was shown.
    func recent(at now: ClockReading) -> [(feed: FeedID, items: [Item])] {
        var places: [FeedID: Int] = [:]
        var feeds: [(feed: FeedID, items: [Item])] = []
        for item in self.items[self.next...] + self.items[..<self.next]
        where item.at >= now.monotonic - self.window {
            if let place = places[item.feed] {
                feeds[place].items.append(item)
            } else {
                places[item.feed] = feeds.count
                feeds.append((item.feed, [item]))
            }
        }
        return feeds
    }

    /// It is shown anew.
    mutating func remove(_ feed: FeedID) {
        self.items = (self.items[self.next...] + self.items[..<self.next]).filter {
            $0.feed != feed
        }
        self.next = 0
    }
}
