public import Bytes

/// A conversation in the list of one of its members.
public struct ListedMembership: Sendable {
    public var key: ConversationKey
    /// Lists with the newest activity first are sorted by its `updatedAt`.
    public var record: ConversationRecord
    public var head: SequenceNumber
    /// The member whose list it is, with its cursors.
    public var member: Member
    /// The newest message; nil if none is kept. A deleted one has no content.
    public var lastMessage: Message?
    /// The messages above the member's read cursor that other users wrote and that are not deleted,
    /// counted up to the requested limit.
    public var unreadCount: Int
    /// The messages among them that mention the user.
    public var unreadMentionCount: Int

    public init(
        key: ConversationKey, record: ConversationRecord, head: SequenceNumber, member: Member,
        lastMessage: Message?, unreadCount: Int, unreadMentionCount: Int = 0
    ) {
        self.key = key
        self.record = record
        self.head = head
        self.member = member
        self.lastMessage = lastMessage
        self.unreadCount = unreadCount
        self.unreadMentionCount = unreadMentionCount
    }
}

/// A page of a user's conversations.
public struct MembershipPage: Sendable {
    /// In the store's own order, which has no meaning.
    public var memberships: [ListedMembership] = []
    /// The `after` of the next page; nil on the last page. A page that is not the last may be
    /// empty.
    public var next: ByteString?
    /// Conversations that are left out because their stored data is damaged.
    public var damaged: [StoreFailure] = []

    public init() {}
}
