import Bytes
import ChatModel

extension MemoryTables {
    /// One page, in ascending order of ids.
    func memberships(
        of user: UserID, in tenant: ByteString, after id: ByteString?, limit: Int, unreadLimit: Int
    ) -> MembershipPage {
        var page = MembershipPage()
        let limit = StoreRequest.clampedListLimit(limit)
        let ids = self.lists.memberships(of: user, in: tenant, after: id, limit: limit + 1)
        page.memberships = ids.prefix(limit).compactMap { id in
            self.conversation(ConversationKey(tenant: tenant, id: id))?.membership(
                of: user, unreadLimit: unreadLimit)
        }
        page.truncate(to: limit, hasMore: ids.count > limit)
        return page
    }

    func catalog(of tenant: ByteString, after cursor: PageCursor?, limit: Int) -> CatalogPage {
        var page = CatalogPage()
        let limit = StoreRequest.clampedListLimit(limit)
        let cursors = self.lists.catalog(of: tenant, after: cursor, limit: limit + 1)
        page.entries = cursors.prefix(limit).compactMap {
            self.conversation(ConversationKey(tenant: tenant, id: $0.id))?.catalogEntry
        }
        page.truncate(to: limit, hasMore: cursors.count > limit)
        return page
    }

    mutating func numbers(of users: [UserID], in tenant: ByteString) -> [Int] {
        users.map { self.tenants[tenant, default: TenantNumbers()].number(of: $0) }
    }
}

extension MembershipPage {
    /// Merges the pages of several stripes into one.
    init(joining pages: [MembershipPage], limit: Int) {
        self.init()
        self.memberships = pages.flatMap(\.memberships).sorted { $0.key.id < $1.key.id }
        self.truncate(
            to: StoreRequest.clampedListLimit(limit), hasMore: pages.contains { $0.next != nil })
    }

    /// - Parameter isMore: whether more entries follow those in this page.
    fileprivate mutating func truncate(to limit: Int, hasMore: Bool) {
        if hasMore || self.memberships.count > limit {
            self.next = self.memberships.prefix(limit).last?.key.id
        }
        self.memberships.removeSubrange(min(limit, self.memberships.count)...)
    }
}

extension CatalogPage {
    /// Merges the pages of several stripes into one.
    init(joining pages: [CatalogPage], limit: Int) {
        self.init()
        self.entries = pages.flatMap(\.entries).sorted { $0.cursor > $1.cursor }
        self.truncate(
            to: StoreRequest.clampedListLimit(limit), hasMore: pages.contains { $0.next != nil })
    }

    fileprivate mutating func truncate(to limit: Int, hasMore: Bool) {
        if hasMore || self.entries.count > limit {
            self.next = self.entries.prefix(limit).last?.cursor
        }
        self.entries.removeSubrange(min(limit, self.entries.count)...)
    }
}

extension CatalogEntry {
    fileprivate var cursor: PageCursor { PageCursor(time: self.record.createdAt, id: self.key.id) }
}
