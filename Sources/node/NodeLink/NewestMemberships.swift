public import Bytes
public import ChatModel

/// Collects a user's memberships from the pages of a store, and keeps those with the newest
/// activity.
///
/// The order of the pages has no meaning, so all of them are read. Only twice the requested number
/// stays in memory.
public struct NewestMemberships: Sendable {
    /// The memberships in one page.
    private static let pageSize = 200
    /// A store may return empty pages, but not this many.
    public static let pageLimit = 1000
    /// Unread messages are counted up to this number, as for clients.
    private static let unreadLimit = 1000

    private let limit: Int
    private var found: [ListedMembership] = []
    /// Why the first of the conversations that cannot be read is left out.
    public private(set) var damage: StoreFailure?

    /// - Parameter limit: how many memberships to keep.
    public init(limit: Int) {
        self.limit = limit
    }

    /// The request for one page.
    ///
    /// - Parameter cursor: the `next` of the page before; nil for the first page.
    public static func request(
        of user: UserID, in tenant: ByteString, after cursor: ByteString?
    ) -> StoreRequest {
        .memberships(
            of: user, tenant: tenant, after: cursor, limit: self.pageSize,
            unreadLimit: self.unreadLimit)
    }

    /// Adds a page. Inboxes are not conversations of the user.
    public mutating func add(_ page: MembershipPage) {
        self.damage = self.damage ?? page.damaged.first
        self.found += page.memberships.filter { !$0.key.isInbox }
        if self.found.count >= 2 * self.limit { self.found = self.newest }
    }

    /// Those with the newest activity first, at most as many as the limit.
    public var newest: [ListedMembership] {
        Array(
            self.found.sorted {
                ($1.record.updatedAt, $0.key.id) < ($0.record.updatedAt, $1.key.id)
            }.prefix(self.limit))
    }
}
