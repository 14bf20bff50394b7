import Bytes
import ChatModel

/// The lists of an in-memory store: each user's conversations and each tenant's catalog, in paging
/// order.
struct ListIndex {
    private struct TenantUser: Hashable {
        let tenant: ByteString
        let user: UserID
    }

    private var memberships: [TenantUser: [ByteString]] = [:]
    private var catalogs: [ByteString: [PageCursor]] = [:]

    /// The number of users with conversations.
    var userCount: Int { self.memberships.count }

    /// Adds a new conversation to the catalog.
    mutating func recordCreation(_ record: ConversationRecord, at key: ConversationKey) {
        guard record.isInCatalog else { return }
        self.catalogs[key.tenant, default: []].insertSorted(
            PageCursor(time: record.createdAt, id: key.id))
    }

    /// Updates the lists after a change to a conversation.
    ///
    /// - Parameter record: with the change.
    mutating func recordChange(
        _ change: Write.Change, of record: ConversationRecord, at key: ConversationKey
    ) {
        switch change {
        case .member(let member) where !member.role.isMember:
            self.remove(key, fromListOf: member.user)
        case .member(let member):
            self.memberships[TenantUser(tenant: key.tenant, user: member.user), default: []]
                .insertSorted(key.id)
        case .remove(let user):
            self.remove(key, fromListOf: user)
        case .end, .update:
            let cursor = PageCursor(time: record.createdAt, id: key.id)
            if record.isInCatalog {
                self.catalogs[key.tenant, default: []].insertSorted(cursor)
            } else {
                self.catalogs[key.tenant]?.removeSorted(cursor)
            }
        case .create, .message, .amend, .cursors, .skip:
            break
        }
    }

    private mutating func remove(_ key: ConversationKey, fromListOf user: UserID) {
        let owner = TenantUser(tenant: key.tenant, user: user)
        self.memberships[owner]?.removeSorted(key.id)
        if self.memberships[owner]?.isEmpty == true { self.memberships[owner] = nil }
    }

    /// A user's conversations after an id, in ascending order of ids.
    func memberships(of user: UserID, in tenant: ByteString, after id: ByteString?, limit: Int)
        -> ArraySlice<ByteString>
    {
        guard let all = self.memberships[TenantUser(tenant: tenant, user: user)] else { return [] }
        let start = id.map { id in all.partitioningIndex { $0 > id } } ?? 0
        return all[start...].prefix(limit)
    }

    /// A tenant's catalog after a cursor, newest first.
    func catalog(of tenant: ByteString, after cursor: PageCursor?, limit: Int)
        -> ReversedCollection<
            ArraySlice<PageCursor>
        >
    {
        guard let all = self.catalogs[tenant] else { return ([] as ArraySlice).reversed() }
        let end = cursor.map { cursor in all.partitioningIndex { $0 >= cursor } } ?? all.count
        return all[..<end].suffix(limit).reversed()
    }
}

extension Array where Element: Comparable {
    /// Inserts the element unless the array already contains it.
    fileprivate mutating func insertSorted(_ element: Element) {
        let index = self.partitioningIndex { $0 >= element }
        if index == self.count || self[index] != element { self.insert(element, at: index) }
    }

    fileprivate mutating func removeSorted(_ element: Element) {
        let index = self.partitioningIndex { $0 >= element }
        if index < self.count, self[index] == element { self.remove(at: index) }
    }
}
