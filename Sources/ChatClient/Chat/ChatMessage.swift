public import Bytes

/// A message of a conversation.
public struct ChatMessage: Sendable, Equatable {
    /// Numbers run 1, 2, 3 … without gaps; 0 where the protocol does not number the message, as for
    /// direct messages between agents.
    public var id: Int
    /// The sender's id. The client recognises the user's own messages by it.
    public var sender: String
    public var content: String
    /// When it was sent; nil when the server's time cannot be read.
    public var sentAt: Timestamp?
    /// The idempotency key that the sending client chose.
    public var localID: String?
    public var isEdited = false
    public var isDeleted = false
    /// The sender's display name, where it differs from the id.
    public var senderName: String?

    public init(
        id: Int, sender: String, content: String, sentAt: Timestamp? = nil, localID: String? = nil
    ) {
        self.id = id
        self.sender = sender
        self.content = content
        self.sentAt = sentAt
        self.localID = localID
    }

    /// The name to display for the sender.
    var displayName: String { self.senderName ?? self.sender }
}

/// The delivery status of one of the user's own messages.
public enum DeliveryStatus: Sendable, Hashable {
    case delivered, read
}
