public import Bytes
public import ChatModel

/// A user's conversations, most recent activity first, collected from the pages of the store.
///
/// The order of the store's pages has no meaning, so the list is complete only with the last page.
public struct MembershipList: Sendable {
    public private(set) var memberships: [ListedMembership] = []

    public init() {}

    /// Adds the conversations of a page, without inboxes. The list keeps up to
    /// `UserSubscriptions.limit` conversations, and drops those with the oldest activity.
    public mutating func add(
        _ page: MembershipPage, where isListed: (ListedMembership) -> Bool = { _ in true }
    ) {
        self.memberships += page.memberships.filter { !$0.key.isInbox && isListed($0) }
        self.memberships.sort {
            ($1.record.updatedAt, $0.key.id) < ($0.record.updatedAt, $1.key.id)
        }
        self.memberships.removeLast(max(0, self.memberships.count - UserSubscriptions.limit))
    }
}

extension SessionSteps {
    /// Requests a page of the conversations in which a user is a member.
    ///
    /// - Parameters:
    ///   - cursor: `next` of the previous page; nil for the first page.
    ///   - unreadLimit: the maximum to which unread messages are counted; 0 counts none.
    ///   - tag: the tag of the store's answer.
    public mutating func fetchMemberships(
        of user: UserID, in tenant: ByteString, after cursor: ByteString?, unreadLimit: Int = 0,
        _ tag: RequestTag
    ) {
        self.append(
            .fetch(
                .memberships(
                    of: user, tenant: tenant, after: cursor, limit: StoreRequest.listLimit,
                    unreadLimit: unreadLimit),
                tag))
    }
}
