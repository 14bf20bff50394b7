public import Bytes

/// A message of a conversation.
public struct ChatMessage: Sendable, Equatable {
    /// 1, 2, 3 … without holes; 0 where the protocol numbers none, as those from agent to agent.
    public var id: Int
    /// The sender's id, by which one's own messages are known.
    public var sender: String
    public var content: String
    /// When it was sent; nil when the server's time cannot be read.
    public var sentAt: Timestamp?
    /// The sending client's own name for it.
    public var localID: String?
    public var isEdited = false
    public var isDeleted = false
    /// What people call the sender, where that is not the id.
    public var senderName: String?

    /// What is shown of the sender.
    var displayName: String { self.senderName ?? self.sender }
}

/// What became of a message of one's own.
public enum DeliveryStatus: Sendable, Hashable {
    case delivered, read
}
