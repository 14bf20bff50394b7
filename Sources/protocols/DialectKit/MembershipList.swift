public import Bytes
public import ChatModel

/// A user's conversations, most recent activity first, collected from the pages of the store.
///
/// The order of the store's pages has no meaning, so the list is complete only with the last page.
public struct MembershipList: Sendable {
    public private(set) var memberships: [ListedMembership] = []
    /// Whether conversations were dropped because of their bytes.
    public private(set) var isCut = false
    private let byteLimit: Int

    /// - Parameter byteLimit: the bytes of the list; the newest conversation is kept in any case.
    public init(byteLimit: Int = .max) { self.byteLimit = byteLimit }

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
        guard self.byteLimit != .max else { return }
        var bytes = 0
        let end = self.memberships.firstIndex { membership in
            let isOver = bytes >= self.byteLimit
            bytes += membership.byteCount
            return isOver
        }
        guard let end else { return }
        self.isCut = true
        self.memberships.removeSubrange(end...)
    }
}

extension ListedMembership {
    /// The texts that an item of a list shows, and the names of its fields.
    fileprivate var byteCount: Int {
        Self.fieldBytes + self.record.title.utf8.count + self.record.dialectData.byteCount
            + (self.lastMessage.map { $0.body.content.utf8.count + ($0.body.metadata?.count ?? 0) }
                ?? 0)
    }

    private static let fieldBytes = 256
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
        let step = SessionStep.fetch(
            .memberships(
                of: user, tenant: tenant, after: cursor, limit: StoreRequest.listLimit,
                unreadLimit: unreadLimit),
            tag)
        self.append(cursor == nil ? step : .readFurther(step, after: 0))
    }
}
