import Bytes
import ChatModel

extension SQLiteReader {
    /// One page, in ascending order of row ids; conversations created later come last.
    func memberships(
        of user: UserID, in tenant: ByteString, after: ByteString?, limit: Int, unreadLimit: Int
    ) throws(StorageFault) -> StoreAnswer {
        guard let start = after.map({ Int($0.string) }) ?? 0 else {
            return .failed(.invalidCursor(after))
        }
        var page = MembershipPage()
        let rows = try self.lists.memberships(of: user, in: tenant, after: start, limit: limit + 1)
        for row in rows.prefix(limit) {
            let key = ConversationKey(tenant: tenant, id: row.name)
            do {
                guard let snapshot = try self.snapshot(of: key),
                    let member = try self.members.member(user, of: snapshot.id),
                    member.role.isMember
                else { continue }
                let unread = try self.unread(
                    in: snapshot, after: member.readCursor, by: user, limit: unreadLimit)
                page.memberships.append(
                    ListedMembership(
                        key: key, record: snapshot.record, head: snapshot.head, member: member,
                        lastMessage: try self.messages(of: snapshot, .newest, limit: 1).first,
                        unreadCount: unread,
                        unreadMentionCount: try self.unreadMentions(
                            in: snapshot, of: member, among: unread, limit: unreadLimit)))
            } catch .damaged(let problem) {
                page.damaged.append(.damaged(key, problem))
            }
        }
        if rows.count > limit { page.next = ByteString("\(rows[limit - 1].id)") }
        return .memberships(page)
    }

    /// The mentions among the first unread messages.
    ///
    /// - Parameters:
    ///   - unread: the number of unread messages, counted up to the limit.
    private func unreadMentions(
        in snapshot: ConversationSnapshot, of member: Member, among unread: Int, limit: Int
    ) throws(StorageFault) -> Int {
        let window = PageRange.after(member.readCursor).window(
            oldest: snapshot.oldest, head: snapshot.head, limit: .max)
        guard unread > 0, !window.isEmpty else { return 0 }
        let mentions = try self.mentions.sequences(
            of: snapshot.id, in: window, mentioning: member.user, limit: limit)
        guard unread == limit else { return mentions.count }
        // Later messages were not counted. Finds how many mentions are among those that were.
        return try mentions.partitioningIndex { (mention) throws(StorageFault) in
            try self.unread(
                in: snapshot, after: member.readCursor, before: mention, by: member.user,
                limit: limit) >= limit
        }
    }

    func catalog(of tenant: ByteString, after: PageCursor?, limit: Int) throws(StorageFault)
        -> CatalogPage
    {
        var page = CatalogPage()
        let cursors = try self.lists.catalog(of: tenant, after: after, limit: limit + 1)
        for cursor in cursors.prefix(limit) {
            let key = ConversationKey(tenant: tenant, id: cursor.id)
            do {
                guard let snapshot = try self.snapshot(of: key), snapshot.record.isInCatalog else {
                    continue
                }
                page.entries.append(
                    CatalogEntry(key: key, record: snapshot.record, head: snapshot.head))
            } catch .damaged(let problem) {
                page.damaged.append(.damaged(key, problem))
            }
        }
        if cursors.count > limit { page.next = cursors[limit - 1] }
        return page
    }
}

extension StoreFailure {
    /// The failure for a cursor that no page has returned.
    static func invalidCursor(_ after: ByteString?) -> StoreFailure {
        StoreFailure(
            "after: \"\(after?.string ?? "")\" is not a position in a list of memberships",
            isRequestSpecific: true)
    }

    fileprivate static func damaged(_ key: ConversationKey, _ problem: String) -> StoreFailure {
        StoreFailure("\(key): it is damaged: \(problem)", isRequestSpecific: true)
    }
}
