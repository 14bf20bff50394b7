import Bytes
import ChatCore
import ChatModel

/// The deliveries of a loop within the time that a store may lose. With them the loop detects a
/// store that has other messages.
///
/// It is one ring for all feeds. With a list per feed, each of a hundred thousand quiet
/// conversations would keep its last messages forever.
struct DeliveryLog: Sendable {
    struct Item: Sendable {
        let feed: FeedID
        /// 0 if the change does not belong to a message.
        let sequence: SequenceNumber
        let revision: Revision
        /// A hash of what identifies a message; nil for an edit or a deletion.
        let identity: Int?
        let at: Int64
    }

    private let window: Int64
    private var items: [Item] = []
    private var next = 0
    static let limit = 16_384

    /// - Parameter within: the time that the store may lose; with zero, nothing is logged.
    init(within window: Duration) {
        self.window = window.wholeMilliseconds
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
            case .edited(let message), .deleted(let message), .reacted(let message),
                .pinned(let message), .unpinned(let message):
                Item(
                    feed: feed, sequence: message.sequence, revision: revision, identity: nil,
                    at: now.monotonic)
            case .created, .joined, .renamed, .left, .ended, .updated, .typing, .read, .status,
                .presence, .crowd:
                Item(feed: feed, sequence: 0, revision: revision, identity: nil, at: now.monotonic)
            }
        if self.items.count < Self.limit {
            self.items.append(item)
        } else {
            self.items[self.next] = item
            self.next = (self.next + 1) % Self.limit
        }
    }

    /// Whether the message was sent within that time, by the clocks of its owner and of this loop.
    func mayBeLost(_ message: Message, at now: ClockReading) -> Bool {
        message.sentAt.milliseconds >= now.wall.milliseconds - self.window
    }

    /// Identifies a message among those that two masters may have stored under one number,
    /// independent of later edits.
    static func identity(of message: Message) -> Int {
        var hasher = Hasher()
        hasher.combine(message.sentAt.milliseconds)
        hasher.combine(message.body.author.id)
        hasher.combine(message.body.clientMessageID)
        return hasher.finalize()
    }

    /// Whether the feed delivered an edit or a deletion of this message after this revision.
    func hasAmended(_ sequence: SequenceNumber, since revision: Revision, in feed: FeedID) -> Bool {
        self.items.contains { $0.feed == feed && $0.sequence == sequence && $0.revision > revision }
    }

    /// The recent items, by feed, in the order of their delivery.
    func recent(at now: ClockReading) -> [(feed: FeedID, items: [Item])] {
        var indices: [FeedID: Int] = [:]
        var feeds: [(feed: FeedID, items: [Item])] = []
        for item in self.items[self.next...] + self.items[..<self.next]
        where item.at >= now.monotonic - self.window {
            if let index = indices[item.feed] {
                feeds[index].items.append(item)
            } else {
                indices[item.feed] = feeds.count
                feeds.append((item.feed, [item]))
            }
        }
        return feeds
    }

    /// Removes the items of a feed that delivers them again.
    mutating func remove(_ feed: FeedID) {
        self.items = (self.items[self.next...] + self.items[..<self.next]).filter {
            $0.feed != feed
        }
        self.next = 0
    }
}
