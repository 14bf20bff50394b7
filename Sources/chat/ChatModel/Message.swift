public import Bytes

/// The part of a message that its author decides.
///
/// A class, so that a message costs one allocation and one reference on its whole path: session,
/// owner, store, subscribers.
public final class MessageBody: Sendable {
    public let author: Person
    /// The id from the client, or one that the node generated. Nil only in messages that came from
    /// elsewhere without an id.
    public let clientMessageID: ClientMessageID?
    public let content: String
    /// The author's JSON object, as received.
    public let metadata: [UInt8]?
    /// Nil for most messages.
    public let annotations: MessageAnnotations?

    public init(
        author: Person, clientMessageID: ClientMessageID?, content: String,
        metadata: [UInt8]? = nil, annotations: MessageAnnotations? = nil
    ) {
        self.author = author
        self.clientMessageID = clientMessageID
        self.content = content
        self.metadata = metadata
        self.annotations = annotations
    }

    /// A copy with this id.
    public func withClientMessageID(_ id: ClientMessageID) -> MessageBody {
        MessageBody(
            author: self.author, clientMessageID: id, content: self.content,
            metadata: self.metadata, annotations: self.annotations)
    }

    /// A copy with these annotations.
    public func with(_ annotations: MessageAnnotations?) -> MessageBody {
        MessageBody(
            author: self.author, clientMessageID: self.clientMessageID, content: self.content,
            metadata: self.metadata, annotations: annotations)
    }
}

/// The idempotency key of a send: sends with the same id create one message.
public struct ClientMessageID: Sendable, Hashable {
    /// 1 to 128 bytes. An id that a node generated starts with a control character, which the id of
    /// a client cannot contain.
    public let text: ByteString

    /// Nil unless the text has 1 to 128 bytes and no control characters.
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

    /// Generates an id for a send without one. It is short enough to need no allocation.
    public init(mintedFrom incarnation: UInt64, count: UInt64) {
        let alphabet = StaticString(
            "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_")
        // 15 bytes: the mark, 36 bits of the incarnation, 48 bits of the count.
        let text = String(unsafeUninitializedCapacity: 15) { bytes in
            bytes[0] = 1
            for digit in 0..<6 {
                bytes[1 + digit] =
                    alphabet.utf8Start[
                        Int(truncatingIfNeeded: incarnation >> UInt64(6 * digit)) & 63]
            }
            for digit in 0..<8 {
                bytes[7 + digit] =
                    alphabet.utf8Start[Int(truncatingIfNeeded: count >> UInt64(6 * digit)) & 63]
            }
            return 15
        }
        self.text = ByteString(text)
    }

    /// The id as its author knows it; nil for an id that a node generated.
    public var displayID: ByteString? {
        self.text.string.utf8.first == 1 ? nil : self.text
    }
}

/// A message as subscribers receive it: the author's body, with the number and the time that the
/// owner assigned.
public struct Message: Sendable {
    public enum State: UInt8, Sendable { case asSent = 0, edited = 1, deleted = 2 }

    public var sequence: SequenceNumber
    /// The revision that changed the message last: its posting, edit or deletion.
    public var revision: Revision
    /// Set once, when the message got its number.
    public var sentAt: Timestamp
    /// When a node accepted the send: microseconds of the wall clock that all nodes share
    /// (`MessageTrace.wallMicroseconds`). 0 in a message from the store, which does not keep it.
    public var acceptedAt: Int64
    public var state: State
    /// Its content is empty once the message is deleted.
    public var body: MessageBody

    public init(
        sequence: SequenceNumber, revision: Revision, sentAt: Timestamp, acceptedAt: Int64 = 0,
        state: State = .asSent, body: MessageBody
    ) {
        self.sequence = sequence
        self.revision = revision
        self.sentAt = sentAt
        self.acceptedAt = acceptedAt
        self.state = state
        self.body = body
    }
}
