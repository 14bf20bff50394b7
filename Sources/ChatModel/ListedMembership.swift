public import Bytes

/// A conversation as it stands in a list of its member's.
public struct ListedMembership: Sendable {
    public var key: ConversationKey
    /// Its `updatedAt` is what "newest activity first" goes by.
    public var record: ConversationRecord
    public var head: SequenceNumber
    /// Whose list it is, with its cursors.
    public var member: Member
    /// The newest message; nil where none is kept. A deleted one has no content.
    public var lastMessage: Message?
    /// Messages by others above the member's read cursor that are not deleted, counted up to what was asked for.
    public var unreadCount: Int

    public init(
        key: ConversationKey, record: ConversationRecord, head: SequenceNumber, member: Member,
        lastMessage last: Message?, unreadCount unread: Int
    ) {
        self.key = key
        self.record = record
        self.head = head
        self.member = member
        self.lastMessage = last
        self.unreadCount = unread
    }
}

/// Some of a user's conversations.
public struct MembershipPage: Sendable {
    /// In the store's own order, which says nothing.
    public var memberships: [ListedMembership] = []
    /// What to name to get the next page; nil: this is the last one. A page that is not the last may have nothing in it.
    public var next: ByteString?
    /// Conversations that cannot be shown, because what is kept of them is not what was stored.
    public var damaged: [StoreFailure] = []

    public init() {}
}
