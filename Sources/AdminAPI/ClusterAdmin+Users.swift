internal import Bytes
internal import ChatModel
internal import Configuration
internal import Gateway
internal import HTTPWire
internal import JSON
internal import NodeLink

/// `confab user ID`.
extension ClusterAdmin {
    /// Unread messages are counted up to this number, as for clients.
    private static let unreadLimit = 1000
    private static let membershipPage = 200
    /// A store may return empty pages, but not this many.
    private static let membershipPages = 1000

    func user(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let user = request.text("user") ?? ""
        let tenant = request.text("tenant") ?? "default"
        let limit = request.number("limit") ?? OperatorVerb.defaultRowLimit
        let snapshot = try await self.clusterSnapshot()
        async let memberships = self.memberships(of: user, tenant, limit: limit)
        let list = await self.connectionList(
            ListRequest(
                order: RowOrder(column: "id", isDescending: false), limit: limit,
                filter: [.init("user", .string(user)), .init("tenant", .string(tenant))]),
            of: snapshot.peers, in: snapshot)
        let stored = await memberships
        let subject = (tenant: ByteString(tenant), user: ByteString(user))
        let bans = try? await self.activeBans {
            $0.tenant == subject.tenant && $0.user == subject.user
        }
        if list.count == 0, list.replies.isComplete, case .success(let found) = stored,
            found.isEmpty, bans?.isEmpty == true
        {
            throw Self.unknownUser(user, tenant)
        }
        var conversations = JSONTree.null
        var storeError = JSONTree.null
        switch stored {
        case .success(let found): conversations = .array(found.map(Self.row))
        case .failure(let error): storeError = .string(error.message)
        }
        let presence: [JSONTree] = snapshot.peers.compactMap { peer in
            guard peer.evictedFor == nil else { return nil }
            let reply = list.replies.byNode[peer.incarnation]
            return ["node": .string(peer.name), "connections": reply?["count"] ?? .null]
        }
        let isOnline: JSONTree =
            list.count > 0 ? true : list.replies.isComplete ? false : .null
        return Self.document(
            [
                .init("user", .string(user)), .init("tenant", .string(tenant)),
                .init("online", isOnline), .init("presence", .array(presence)),
                .init("connections", .array(list.rows)),
                .init("conversations", conversations), .init("store_error", storeError),
                .init("bans", bans.map { .array($0) } ?? .null),
            ] + list.counts)
    }

    static func unknownUser(_ user: String, _ tenant: String) -> HTTPError {
        HTTPError(
            .notFound,
            """
            There is no user \(user) in tenant \(tenant): no connection, and no conversation with \
            this member.
            """
        )
    }

    /// Throws 404 if a user without a connection is a member of no conversation.
    func checkExists(_ user: String, _ tenant: String) async throws(HTTPError) {
        if case .success(let found) = await self.memberships(of: user, tenant, limit: 1),
            found.isEmpty
        {
            throw Self.unknownUser(user, tenant)
        }
    }

    /// The first conversations of a user, those with the newest activity first.
    private func memberships(of user: String, _ tenant: String, limit: Int) async
        -> Result<[ListedMembership], HTTPError>
    {
        var found: [ListedMembership] = []
        for id in Self.users(displayedAs: user) {
            var cursor: ByteString?
            for _ in 0..<Self.membershipPages {
                let answer = await self.read(
                    .memberships(
                        of: id, tenant: ByteString(tenant), after: cursor,
                        limit: Self.membershipPage, unreadLimit: Self.unreadLimit))
                guard case .memberships(let page)? = answer else {
                    return .failure(Self.failure(of: answer))
                }
                found += page.memberships.filter { !$0.key.isInbox }
                cursor = page.next
                if cursor == nil { break }
                // The order of the pages has no meaning, so all of them are read.
                if found.count >= 2 * OperatorVerb.rowLimits.upperBound {
                    found = Self.newest(found, limit: limit)
                }
            }
        }
        return .success(Self.newest(found, limit: limit))
    }

    private static func newest(_ memberships: [ListedMembership], limit: Int) -> [ListedMembership]
    {
        Array(
            memberships.sorted {
                ($1.record.updatedAt, $0.key.id) < ($0.record.updatedAt, $1.key.id)
            }.prefix(limit))
    }

    private static func row(_ membership: ListedMembership) -> JSONTree {
        [
            "conversation": .string(membership.key.id.string),
            "kind": .string(membership.record.origin.string),
            "role": .string(membership.member.role.text),
            "head": .integer(membership.head),
            "read_cursor": .integer(membership.member.readCursor),
            "delivered_cursor": .integer(membership.member.deliveredCursor),
            "unread": .integer(membership.unreadCount),
            "updated": .string(membership.record.updatedAt.text),
        ]
    }
}
