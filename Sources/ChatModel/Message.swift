public import Bytes

/// What somebody said: everything of a message that its author decides.
///
/// A class, so that a message costs one allocation and one reference on its whole way: session, owner, store, readers.
public final class MessageBody: Sendable {
    public let author: Person
    /// The id that the client gave, or that its node minted; nil only in messages that came from elsewhere without one.
    public let clientMessageID: ClientMessageID?
    public let content: String
    /// A JSON object of the author's, as it came.
    public let metadata: [UInt8]?

    public init(
        author: Person, clientMessageID clientID: ClientMessageID?, content: String,
        metadata: [UInt8]? = nil
    ) {
        self.author = author
        self.clientMessageID = clientID
        self.content = content
        self.metadata = metadata
    }

    /// The same under an id.
    public func withClientMessageID(_ id: ClientMessageID) -> MessageBody {
        MessageBody(
            author: self.author, clientMessageID: id, content: self.content, metadata: self.metadata
        )
    }
}

/// The id under which a send is made only once, however often it is repeated.
public struct ClientMessageID: Sendable, Hashable {
    /// 1 to 128 bytes. One that a node minted starts with a control character, which a client's may not have.
    public let text: ByteString

    /// Nil unless it has 1 to 128 bytes and no control characters.
    public init?(given text: ByteString) {
        guard (1...128).contains(text.byteCount),
            text.withBytes({ bytes in bytes.allSatisfy { $0 >= 0x20 && $0 != 0x7F } })
        else {
            return nil
        }
        self.text = text
    }

    /// The id as a store keeps it.
    public init(stored text: ByteString) {
        self.text = text
    }

    /// An id of this node's for a send that came without one; short enough to be held without an allocation.
    public init(mintedFrom incarnation: UInt64, count: UInt64) {
        let letters = StaticString(
            "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_")
        // 15 bytes: the mark, 36 bits of the incarnation, 48 bits of the count.
        let text = String(unsafeUninitializedCapacity: 15) { bytes in
            bytes[0] = 1
            for place in 0..<6 {
                bytes[1 + place] =
                    letters.utf8Start[
                        Int(truncatingIfNeeded: incarnation >> UInt64(6 * place)) & 63]
            }
            for place in 0..<8 {
                bytes[7 + place] =
                    letters.utf8Start[Int(truncatingIfNeeded: count >> UInt64(6 * place)) & 63]
            }
            return 15
        }
        self.text = ByteString(text)
    }

    /// The id as its author knows it; nil for one that a node minted.
    public var displayID: ByteString? {
        self.text.string.utf8.first == 1 ? nil : self.text
    }
}

/// A message as everybody reads it: what its author said, and the place that the owner gave it.
public struct Message: Sendable {
    public enum State: UInt8, Sendable { case asSent = 0, edited = 1, deleted = 2 }

    public var sequence: SequenceNumber
    /// The change of the conversation that wrote this last: its posting, edit or deletion.
    public var revision: Revision
    /// Taken once, when the message got its number.
    public var sentAt: Timestamp
    public var state: State
    /// With empty content once deleted.
    public var body: MessageBody

    public init(
        sequence: SequenceNumber, revision: Revision, sentAt: Timestamp, state: State = .asSent,
        body: MessageBody
    ) {
        self.sequence = sequence
        self.revision = revision
        self.sentAt = sentAt
        self.state = state
        self.body = body
    }

    /// The same message with other words.
    public func edited(to content: String, revision: Revision) -> Message {
        self.amended(.edited, content: content, metadata: self.body.metadata, revision: revision)
    }

    /// The same message without its words; number, author and time stay.
    public func deleted(revision: Revision) -> Message {
        self.amended(.deleted, content: "", metadata: nil, revision: revision)
    }

    private func amended(_ state: State, content: String, metadata: [UInt8]?, revision: Revision)
        -> Message
    {
        let body = MessageBody(
            author: self.body.author, clientMessageID: self.body.clientMessageID, content: content,
            metadata: metadata)
        return Message(
            sequence: self.sequence, revision: revision, sentAt: self.sentAt, state: state,
            body: body)
    }
}
