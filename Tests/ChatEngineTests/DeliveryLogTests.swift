import Bytes
import ChatCore
import ChatModel
import Testing

@testable import ChatEngine

@Suite("A delivery log")
struct DeliveryLogTests {
    private static let one = FeedID(slot: 1, generation: 1)
    private static let two = FeedID(slot: 2, generation: 1)

    /// Feed, sequence, revision, and whether the item identifies a message.
    private static func texts(_ log: DeliveryLog, at now: Int64) -> [String] {
        log.recent(at: .sample(now)).map { feed, items in
            "\(feed.slot):"
                + items.map { " \($0.sequence)/\($0.revision)\($0.identity == nil ? "" : "!")" }
                .joined()
        }
    }

    private static func post(
        _ sequence: SequenceNumber, in feed: FeedID, at now: Int64, to log: inout DeliveryLog
    ) {
        log.record(.posted(.sample(sequence)), sequence, in: feed, at: .sample(now))
    }

    @Test(
        "records what a change concerns",
        arguments: [
            (.posted(.sample(4)), "1: 4/9!"), (.edited(.sample(4)), "1: 4/9"),
            (.deleted(.sample(4)), "1: 4/9"), (.created, "1: 0/9"),
            (.ended(by: Person.bob.id, at: Timestamp(milliseconds: 0)), "1: 0/9"),
        ] as [(ChatEvent, String)])
    func records(event: ChatEvent, text: String) {
        var log = DeliveryLog(within: .seconds(1))
        log.record(event, 9, in: Self.one, at: .sample(0))
        #expect(Self.texts(log, at: 0) == [text])
    }

    @Test("returns recent items by feed, in the order of their delivery")
    func byFeed() {
        var log = DeliveryLog(within: .seconds(1))
        Self.post(1, in: Self.two, at: 0, to: &log)
        Self.post(1, in: Self.one, at: 100, to: &log)
        Self.post(2, in: Self.two, at: 200, to: &log)
        #expect(Self.texts(log, at: 1000) == ["2: 1/1! 2/2!", "1: 1/1!"])
        #expect(Self.texts(log, at: 1001) == ["1: 1/1!", "2: 2/2!"])
        #expect(Self.texts(log, at: 1201) == [])
    }

    @Test("records nothing if the store loses nothing")
    func disabled() {
        var log = DeliveryLog(within: .zero)
        #expect(!log.isEnabled)
        Self.post(1, in: Self.one, at: 0, to: &log)
        #expect(Self.texts(log, at: 0) == [])
        #expect(DeliveryLog(within: .milliseconds(1)).isEnabled)
    }

    @Test(
        "knows the later amendments of a message",
        arguments: [
            (one, 4, 8, true), (one, 4, 9, false), (one, 5, 8, false),
            (two, 4, 8, false),
        ])
    func amendments(feed: FeedID, sequence: SequenceNumber, since: Revision, isKnown: Bool) {
        var log = DeliveryLog(within: .seconds(1))
        log.record(.edited(.sample(4)), 9, in: Self.one, at: .sample(0))
        #expect(log.hasAmended(sequence, since: since, in: feed) == isKnown)
    }

    @Test("replaces the oldest items beyond its limit")
    func limit() {
        var log = DeliveryLog(within: .seconds(1))
        let count = DeliveryLog.limit + 3
        for number in 1...count { Self.post(number, in: Self.one, at: 0, to: &log) }
        #expect(log.recent(at: .sample(0))[0].items.map(\.sequence) == Array(4...count))
    }

    @Test("keeps the order of other feeds' items when one feed is removed")
    func removal() {
        var log = DeliveryLog(within: .seconds(1))
        let count = DeliveryLog.limit + 4
        // The ring begins in its middle.
        for number in 1...count {
            Self.post(number, in: number % 2 == 0 ? Self.two : Self.one, at: 0, to: &log)
        }
        log.remove(Self.two)
        Self.post(count + 1, in: Self.one, at: 0, to: &log)
        let feeds = log.recent(at: .sample(0))
        #expect(feeds.map(\.feed) == [Self.one])
        #expect(feeds[0].items.map(\.sequence) == Array(stride(from: 5, through: count + 1, by: 2)))
    }

    @Test(
        "tells messages apart that two masters stored under one number, but not edits",
        arguments: [
            (0, "bob", "id", "text", true), (0, "bob", "id", "edited", true),
            (7, "bob", "id", "text", false), (0, "alice", "id", "text", false),
            (0, "bob", "other", "text", false), (0, "bob", nil, "text", false),
        ] as [(Int64, String, String?, String, Bool)])
    func identity(sentAt: Int64, author: String, id: String?, content: String, isSame: Bool) {
        func message(_ time: Int64, _ body: MessageBody) -> Message {
            Message(sequence: 1, revision: 1, sentAt: Timestamp(milliseconds: time), body: body)
        }
        let first = message(0, .said("text", by: .bob, id: "id"))
        let other = message(sentAt, .said(content, by: .named(author), id: id))
        #expect((DeliveryLog.identity(of: first) == DeliveryLog.identity(of: other)) == isSame)
    }

    @Test(
        "a message may be lost within the window after it was sent",
        arguments: [(0, true), (1000, true), (1001, false)] as [(Int64, Bool)])
    func window(age: Int64, mayBeLost: Bool) {
        let now = ClockReading.sample(5000)
        var message = Message.sample(1)
        message.sentAt = Timestamp(milliseconds: now.wall.milliseconds - age)
        #expect(DeliveryLog(within: .seconds(1)).mayBeLost(message, at: now) == mayBeLost)
    }
}
