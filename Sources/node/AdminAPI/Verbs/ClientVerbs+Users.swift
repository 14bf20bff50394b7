internal import Bytes
internal import ChatModel
internal import Configuration
internal import Gateway
internal import HTTPWire
internal import JSON
internal import NodeLink

/// `confab user ID`.
extension ClientVerbs {
    func user(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let user = request.text("user") ?? ""
        let tenant = request.text("tenant") ?? "default"
        let limit = request.number("limit") ?? OperatorVerb.defaultRowLimit
        let snapshot = try await self.context.snapshot()
        let list = await self.connectionList(
            ListRequest(
                order: RowOrder(column: "id", isDescending: false), limit: limit,
                filter: [.init("user", .string(user)), .init("tenant", .string(tenant))]),
            of: snapshot.peers, in: snapshot)
        // The keys of guests are in no list of the store: only those of connected ones are known.
        let name = UserID(displayID: ByteString(user)).name
        let guests = Set(list.rows.compactMap { $0["guest_key"]?.stringValue }).sorted().flatMap {
            UserID.all(withKey: ByteString($0), named: name)
        }
        let stored = await self.memberships(
            of: UserID.all(displayed: ByteString(user)) + guests, tenant, limit: limit)
        let subject = (tenant: ByteString(tenant), user: ByteString(user))
        let bans = try? await self.context.activeBans {
            $0.tenant == subject.tenant && $0.user == subject.user
        }
        if list.count == 0, list.replies.isComplete, case .success(let found) = stored,
            found.isEmpty, bans?.isEmpty == true
        {
            throw .unknownUser(user, tenant)
        }
        var conversations = JSONTree.null
        var storeError = JSONTree.null
        switch stored {
        case .success(let found): conversations = .array(found.map(\.tree))
        case .failure(let error): storeError = .string(error.message)
        }
        let presence: [JSONTree] = snapshot.peers.compactMap { peer in
            guard peer.evictedFor == nil else { return nil }
            let reply = list.replies.byNode[peer.incarnation]
            return ["node": .string(peer.name), "connections": reply?["count"] ?? .null]
        }
        let isOnline: JSONTree =
            list.count > 0 ? true : list.replies.isComplete ? false : .null
        return .document(
            [
                .init("user", .string(user)), .init("tenant", .string(tenant)),
                .init("online", isOnline), .init("presence", .array(presence)),
                .init("connections", .array(list.rows)),
                .init("conversations", conversations), .init("store_error", storeError),
                .init("bans", bans.map { .array($0) } ?? .null),
            ] + list.counts)
    }

    /// Throws 404 if a user without a connection is a member of no conversation.
    func checkExists(_ user: String, _ tenant: String) async throws(HTTPError) {
        let users = UserID.all(displayed: ByteString(user))
        if case .success(let found) = await self.memberships(of: users, tenant, limit: 1),
            found.isEmpty
        {
            throw .unknownUser(user, tenant)
        }
    }

    /// The first conversations of users, those with the newest activity first.
    private func memberships(of users: [UserID], _ tenant: String, limit: Int) async
        -> Result<[ListedMembership], HTTPError>
    {
        var memberships = NewestMemberships(limit: limit)
        for id in users {
            var cursor: ByteString?
            for _ in 0..<NewestMemberships.pageLimit {
                let answer = await self.context.read(
                    NewestMemberships.request(of: id, in: ByteString(tenant), after: cursor))
                guard case .memberships(let page)? = answer else {
                    return .failure(.storeFailure(answer))
                }
                memberships.add(page)
                cursor = page.next
                if cursor == nil { break }
            }
        }
        return .success(memberships.newest)
    }
}

extension HTTPError {
    fileprivate static func unknownUser(_ user: String, _ tenant: String) -> HTTPError {
        HTTPError(
            .notFound,
            """
            There is no user \(user) in tenant \(tenant): no connection, and no conversation with \
            this member.
            """
        )
    }
}
