import Bytes
import ChatModel
import StoreTestSupport
import TestTraits
import Testing

@testable import RedisStore

@Suite("Annotations in the formats of Redis", .ownThread)
struct StoredAnnotationsTests {
    private static let bob = UserID(tokenSubject: "bob b:%")
    private static let guest = UserID(anonymous: "zoë")
    private static let emoji = Emoji(stored: ":tada:")

    private static let references = [
        MessageAnnotations(reply: Reply(to: 7, thread: 3), mentions: nil),
        MessageAnnotations(reply: nil, mentions: Mentions()),
        MessageAnnotations(reply: nil, mentions: Mentions(includesEveryone: true)),
        MessageAnnotations(
            reply: Reply(to: 1, thread: 1),
            mentions: Mentions(includesEveryone: true, users: [bob, guest], nonMembers: [guest])),
    ].compactMap { $0 }

    private static let marks = [
        MessageAnnotations(reply: nil, mentions: nil, reactions: Reactions()),
        MessageAnnotations(
            reply: nil, mentions: nil,
            reactions: Reactions([
                Reactions.UserGroup(emoji, users: [bob, guest]),
                Reactions.UserGroup(Emoji(stored: "❤"), users: [guest]),
            ])),
        MessageAnnotations(
            reply: nil, mentions: nil,
            reactions: Reactions([Reactions.UserGroup(emoji, users: [bob])]),
            pin: PinState(
                isPinned: true, by: Person(id: guest, name: "1 2", agent: ""),
                at: Timestamp(milliseconds: 5))),
        MessageAnnotations(
            reply: nil, mentions: nil,
            pin: PinState(
                isPinned: false, by: Person(id: bob, name: ""), at: Timestamp(milliseconds: -5))),
    ].compactMap { $0 }

    private static func bytes(_ write: (inout ByteBuffer) -> Void) -> [UInt8] {
        var buffer = ByteBuffer()
        write(&buffer)
        return buffer.bytes
    }

    @Test("are read as they were written", arguments: references)
    func referencesRoundTrip(_ annotations: MessageAnnotations) throws {
        let bytes = Self.bytes { StoredReferences.write(annotations, to: &$0) }
        let read = try #require(bytes.withUnsafeBytes { StoredReferences.read($0) })
        #expect(read.reply == annotations.reply && read.mentions == annotations.mentions)
        #expect(read.reactions == nil && read.pin == nil)
    }

    @Test("are read as they were written", arguments: marks)
    func marksRoundTrip(_ annotations: MessageAnnotations) throws {
        let bytes = Self.bytes { StoredMarks.write(annotations, to: &$0) }
        let read = try #require(bytes.withUnsafeBytes { StoredMarks.read($0) })
        #expect(read.reactions == annotations.reactions && read.pin == annotations.pin)
        for end in bytes.indices where annotations.pin?.by.agent == nil {
            bytes[..<end].withUnsafeBytes {
                #expect(StoredMarks.read($0) == nil, "the first \(end) bytes")
            }
        }
    }

    @Test("are rejected if they are malformed")
    func foreign() {
        for text in [
            "", "1", "1 1 1 ", "1 1 3 0 ", "x 1 1 0 ", "1 1 1 9 bob ", "1 1 1 3 bob", "1 1 1 0 bob",
            "1 1 1 4 b%z ", "-1 1 0 0 ",
        ] {
            Array(text.utf8).withUnsafeBytes {
                #expect(StoredReferences.read($0) == nil, "\(text)")
            }
        }
        for text in [
            "", "0 0 x", "2 0 1 ", "2 0 -1", "4 0 0 xx", "0 1 1", "10 0 1 1 0 x   ",
            "0 12 2 5 1 1 ab  ",
        ] {
            Array(text.utf8).withUnsafeBytes { #expect(StoredMarks.read($0) == nil, "\(text)") }
        }
    }

    @Test("are kept with a pinned message")
    func pin() throws {
        let body = MessageBody(
            author: Person(id: Self.bob, name: "Bob"), clientMessageID: nil, content: "4 5 ",
            metadata: [1],
            annotations: MessageAnnotations(
                reply: Reply(to: 1, thread: 1), mentions: Mentions(users: [Self.guest]),
                reactions: Self.marks[1].reactions, pin: Self.marks[2].pin))
        let message = Message(
            sequence: 3, revision: 8, sentAt: Timestamp(milliseconds: 9), state: .edited, body: body
        )
        let bytes = Self.bytes { StoredPin.write(message, revision: 8, to: &$0) }
        let read = try #require(bytes.withUnsafeBytes { StoredPin.read($0, as: 3) })
        #expect(read.text == message.text)
        #expect(read.body.annotations?.reply == body.annotations?.reply)
        #expect(read.body.annotations?.mentions == body.annotations?.mentions)
        #expect(read.body.annotations?.reactions == body.annotations?.reactions)
        #expect(read.body.annotations?.pin == body.annotations?.pin)
        var unpinned = message
        unpinned.body = body.with(nil)
        Self.bytes { StoredPin.write(unpinned, revision: 8, to: &$0) }.withUnsafeBytes {
            #expect(StoredPin.read($0, as: 3) == nil, "a message that is not pinned")
        }
    }

    @Test("have threads whose entries have the order of their numbers")
    func threads() throws {
        let body = MessageBody(
            author: Person(id: Self.bob, name: ""), clientMessageID: nil, content: "",
            annotations: MessageAnnotations(reply: Reply(to: 9, thread: 10), mentions: nil))
        let message = Message(
            sequence: 255, revision: 1, sentAt: Timestamp(milliseconds: 0), body: body)
        let entry = Self.bytes { StoredReferences.writeThreadEntry(of: message, to: &$0) }
        #expect(String(decoding: entry, as: UTF8.self) == "000000000000000a:00000000000000ff")
        let read = try #require(
            StoredReferences.threadEntry(String(decoding: entry, as: UTF8.self)))
        #expect(read == (10, 255))
        for text in ["", "a:ff", "0000000000000000:000000000000000a", "000000000000000a"] {
            #expect(StoredReferences.threadEntry(text) == nil, "\(text)")
        }
    }
}
