public import Bytes

/// A message of a conversation in its present state.
public struct ChatMessage: Sendable, Equatable {
    /// Numbers run 1, 2, 3 … without gaps; 0 where there is none: for a message that is not stored
    /// yet, and for direct messages between agents.
    public var id: Int
    /// The author's user id.
    public var author: String
    /// Empty if the message is deleted.
    public var text: String
    /// When the server stored it; nil when the server's time cannot be read.
    public var time: Timestamp?
    /// The idempotency key that the sending client chose; nil where the server does not return it.
    public var localID: String?
    public var state = MessageState.sent
    public var isEdited = false
    /// The conversation's revision that produced this state; 0 in protocols without revisions.
    public var rev = 0
    /// Whether this client's user wrote it.
    public var isOwn = false
    /// The author's display name, where it differs from the id.
    public var authorName: String?

    public init(
        id: Int, author: String, text: String, time: Timestamp? = nil, localID: String? = nil
    ) {
        self.id = id
        self.author = author
        self.text = text
        self.time = time
        self.localID = localID
    }

    /// The name to display for the author.
    public var displayName: String { self.authorName ?? self.author }

    public var isDeleted: Bool { self.state == .deleted }

    /// This message in the state that a later event or page shows. What only this client knows
    /// stays: the local id and the progress of the delivery.
    func updated(to newer: ChatMessage) -> ChatMessage {
        var message = self
        message.text = newer.text
        message.isEdited = newer.isEdited
        message.rev = newer.rev
        message.localID = self.localID ?? newer.localID
        message.isOwn = self.isOwn || newer.isOwn
        message.authorName = self.authorName ?? newer.authorName
        if newer.isDeleted { message.state = .deleted }
        return message
    }

    /// Whether both show the same content.
    func hasContent(of other: ChatMessage) -> Bool {
        self.text == other.text && self.isEdited == other.isEdited
            && self.isDeleted == other.isDeleted
    }
}

/// The states of a message, in the order in which it goes through them.
public enum MessageState: Int, Sendable, Comparable {
    /// In the outbox.
    case sending
    /// In the outbox; the server refused it for good.
    case failed
    /// Stored by the server.
    case sent
    /// The first other member's client has received it.
    case delivered
    /// The first other member has read it.
    case read
    case deleted

    public static func < (left: MessageState, right: MessageState) -> Bool {
        left.rawValue < right.rawValue
    }
}
