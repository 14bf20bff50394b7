public import Bytes
public import ChatModel

/// Moderation by operators.
extension Gateway {
    /// Reads all bans from the store and enforces them, on open connections too.
    ///
    /// - Returns: how many connections were closed; nil if the store or a loop did not answer in
    ///   time. Then the node tries again by itself.
    public func refreshBans(within time: Duration) async -> Int? {
        let bans = self.shared.bans
        let number = bans.beginRead()
        guard let answer = await self.read(.bans, within: time), bans.apply(answer, of: number)
        else {
            bans.markStale()
            return nil
        }
        let closed = await self.requestAll(within: time) { reply in .enforceBans { reply($0) } }
        return closed.count == self.loopCount ? closed.reduce(0, +) : nil
    }

    /// The active ban of a user for a whole tenant.
    public func ban(of user: UserID, in tenant: ByteString) -> Ban? {
        self.shared.bans.list.ban(of: user, in: tenant, at: WallClock.now)
    }

    /// Closes all connections of a user. Its clients may connect again.
    ///
    /// - Parameter user: the id that other users see.
    /// - Returns: how many connections were closed; nil if a loop did not answer in time.
    public func disconnect(
        user: ByteString, in tenant: ByteString, within time: Duration
    ) async -> Int? {
        await self.disconnect(.user(user, tenant: tenant), within: time)
    }

    /// Closes the connection with this name in the log: its loop, slot and generation, separated by
    /// full stops. Its client may connect again.
    ///
    /// - Returns: how many connections were closed; nil if a loop did not answer in time.
    public func disconnect(connection name: String, within time: Duration) async -> Int? {
        await self.disconnect(.connection(name), within: time)
    }

    private func disconnect(_ target: DisconnectTarget, within time: Duration) async -> Int? {
        let closed = await self.requestAll(within: time) { reply in
            .disconnect(target) { reply($0) }
        }
        return closed.count == self.loopCount ? closed.reduce(0, +) : nil
    }
}
