public import Bytes

/// A message of a conversation in its present state.
public struct ChatMessage: Sendable, Equatable {
    /// Numbers run 1, 2, 3 … without gaps; 0 where there is none: for a message that is not stored
    /// yet, and for direct messages between agents.
    public var id: Int
    /// The author's user id.
    public var author: String
    /// Distinguishes guests of one id; nil for other users.
    public var guestKey: String?
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
    /// The message to which this one replies.
    public var replyTo: Int?
    /// The message with which the thread of this reply began.
    public var thread: Int?
    /// Nil while the message replied to is not loaded, and after it is gone.
    public var replyExcerpt: MessageExcerpt?
    /// The users that the author addresses.
    public var mentioned = MentionedUsers.none
    /// Whether another user addresses this client's user.
    public var mentionsMe = false
    /// Mentioned users who are no members.
    public var notMembers: [String] = []
    /// In the order of their first use.
    public var reactions: [MessageReaction] = []
    /// How many replies the thread has that this message began, and the newest of them.
    public var replies = 0
    public var lastReplyID: Int?
    public var pinned: MessagePin?
    /// Whether the message has had reactions or a pin: then `rev` is not that of its post.
    var wasChanged = false

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
