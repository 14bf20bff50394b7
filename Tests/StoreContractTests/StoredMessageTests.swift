import Bytes
import ChatModel
import TestTraits
import Testing

@testable import RedisStore

@Suite("A message in the format of a stream entry", .ownThread)
struct StoredMessageTests {
    private static func bytes(of message: Message) -> [UInt8] {
        var buffer = ByteBuffer(capacity: 64)
        StoredMessage.write(message, revision: message.revision, to: &buffer)
        return Array(buffer.bytes)
    }

    private static func message(
        author: String = "zoë", name: ByteString = "Zoë 1 2", agent: ByteString? = nil,
        clientID: ClientMessageID? = nil, content: String = "3 4",
        metadata: [UInt8]? = nil
    ) -> Message {
        let person = Person(id: UserID(storageKey: ByteString(author)), name: name, agent: agent)
        return Message(
            sequence: 7, revision: 9, sentAt: Timestamp(milliseconds: 1_700_000_000_000),
            state: .edited,
            body: MessageBody(
                author: person, clientMessageID: clientID, content: content, metadata: metadata))
    }

    @Test(
        "is read as it was written, even with empty or missing parts",
        arguments: [
            message(), message(name: "", content: ""), message(agent: ""),
            message(agent: "agent 5"), message(metadata: []),
            message(clientID: ClientMessageID(given: "6 id")),
            message(clientID: ClientMessageID(mintedFrom: 1, count: 2)),
            message(
                agent: "=", clientID: ClientMessageID(given: "="), content: "\0\n=",
                metadata: Array("{\"a\":\"=\"}".utf8)),
        ])
    func roundTrip(_ message: Message) throws {
        let read = try #require(
            Self.bytes(of: message).withUnsafeBytes { StoredMessage.read($0, as: 7) })
        #expect(
            read.sequence == 7 && read.revision == 9 && read.sentAt == message.sentAt
                && read.state == .edited)
        #expect(
            read.body.author.id == message.body.author.id
                && read.body.author.name == message.body.author.name)
        #expect(
            read.body.author.agent == message.body.author.agent
                && read.body.clientMessageID == message.body.clientMessageID)
        #expect(
            read.body.content == message.body.content && read.body.metadata == message.body.metadata
        )
    }

    @Test("is rejected if it is shorter than its numbers say, or has invalid numbers")
    func foreign() {
        let whole = Self.bytes(
            of: Self.message(
                agent: "a", clientID: ClientMessageID(given: "id"), content: "", metadata: [1]))
        for end in whole.indices {
            whole[..<end].withUnsafeBytes {
                #expect(StoredMessage.read($0, as: 7) == nil, "the first \(end) bytes")
            }
        }
        for other in [
            "1 2 0 -1 0 0 0 0 ", "1 2 9 0 0 0 0 0 ", "1 2 0 9223372036854775807 1 0 0 0 ",
            "x 2 0 0 0 0 0 0 ", "",
        ] {
            Array(other.utf8).withUnsafeBytes {
                #expect(StoredMessage.read($0, as: 7) == nil, "\(other)")
            }
        }
    }
}
