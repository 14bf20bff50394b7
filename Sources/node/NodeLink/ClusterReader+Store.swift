public import Bytes
public import ChatModel
internal import EventLoop
internal import Synchronization

/// Reads conversations, memberships and bans through the nodes' own store.
extension ClusterReader {
    /// A conversation without its messages; nil if it does not exist.
    ///
    /// - Throws: `ClusterReadError`, also if its stored data is damaged.
    public func conversation(_ key: ConversationKey) throws(ClusterReadError)
        -> LoadedConversation?
    {
        guard case .loaded(let conversation) = try self.answer(to: .load(key)) else {
            preconditionFailure("the answer to a load is another one")
        }
        return conversation
    }

    /// A user's conversations with the newest activity.
    ///
    /// - Parameters:
    ///   - user: the id that other users see.
    ///   - limit: the maximum number of conversations.
    /// - Throws: `ClusterReadError`.
    public func memberships(of user: ByteString, in tenant: ByteString, limit: Int)
        throws(ClusterReadError) -> NewestMemberships
    {
        var memberships = NewestMemberships(limit: limit)
        for id in UserID.all(displayed: user) {
            var cursor: ByteString?
            for _ in 0..<NewestMemberships.pageLimit {
                let request = NewestMemberships.request(of: id, in: tenant, after: cursor)
                guard case .memberships(let page) = try self.answer(to: request) else {
                    preconditionFailure("the answer about memberships is another one")
                }
                memberships.add(page)
                cursor = page.next
                if cursor == nil { break }
            }
        }
        return memberships
    }

    /// All bans, including those that have ended, and why others cannot be read.
    ///
    /// - Throws: `ClusterReadError`.
    public func bans() throws(ClusterReadError) -> (bans: [Ban], damaged: [StoreFailure]) {
        guard case .bans(let bans, let damaged) = try self.answer(to: .bans) else {
            preconditionFailure("the answer about bans is another one")
        }
        return (bans, damaged)
    }

    private func answer(to request: StoreRequest) throws(ClusterReadError) -> StoreAnswer {
        // It names the cause if there is no connection; the store only says that there is none.
        try self.checkAccess()
        let answer = try self.storeReader().read(request)
        guard case .failed(let failure) = answer else { return answer }
        throw ClusterReadError(
            description: failure.description,
            isPermanent: failure.isRequestSpecific || failure.effect == .rejected)
    }

    /// Most commands need no store, so the first request starts it.
    private func storeReader() throws(ClusterReadError) -> StoreReader {
        do throws(SocketError) {
            return try self.startedStore.withLock { started throws(SocketError) in
                if let started { return started }
                let reader = try StoreReader(
                    self.settings, clusterName: self.redisKeys.cluster)
                started = reader
                return reader
            }
        } catch {
            throw .unreachable("cannot start a thread for Redis: \(error)")
        }
    }
}
