public import Bytes
public import EventLoop

/// Receives the outcome of each command: exactly one call of `redisReplied` or `redisFailed`,
/// unless the client is closed.
///
/// The calls come on the client's loop, in the order of the commands; in a cluster, in the order of
/// each slot's commands, with the exceptions that `RedisClient` describes.
public protocol RedisClientUser: AnyObject, Sendable {
    /// The reply is valid until this function returns. Error replies come as `redisFailed`.
    func redisReplied(_ reply: RedisReply, to tag: CommandTag)
    func redisFailed(_ error: RedisError, tag: CommandTag)
    /// Called before the failures of the commands in flight are reported.
    func redisChanged(_ state: RedisClient.State)
}

/// A Redis client for one loop: pipelines commands and passes the replies to one user.
///
/// A handler of the loop; all functions must be called on the loop's thread. The commands of one
/// turn leave in one write at the end of the turn. The client never sends a command twice: when a
/// connection breaks, the user decides about each command. Without a connection, commands wait up
/// to `RedisSettings.commandTimeout`, within the limits there.
///
/// **Sentinels**: the client queries all of them and subscribes to their announcements. A server
/// gets commands only if it reports itself as the master. The client leaves it when the sentinels
/// name another master, or when it replies READONLY; that command and all commands in flight have
/// failed. Those in flight behind READONLY fail with the server's own replies, if it rejects them.
/// The URL's user and password are meant for the servers; a sentinel gets them only after it has
/// replied NOAUTH.
///
/// **Cluster**: the client has a connection to each master, and a topology probe that queries the
/// slots. It follows redirections (MOVED, ASK) and retries after TRYAGAIN, both a limited number of
/// times, because no server has executed such a command. Meanwhile later commands of the same slot
/// may overtake it, so a user that needs their order must check it in the script. A WAIT written
/// directly behind a command of its slot follows that command, and the first server's reply to it
/// is dropped. Otherwise one server would confirm a write of another. A later WAIT must use the
/// connection that answered its command. The limits of commands and bytes apply to each connection.
/// When a master fails, so do its commands; later ones wait for its successor.
public final class RedisClient: Sendable {
    public enum State: Sendable, Equatable {
        /// No connection has been established yet.
        case connecting
        /// Commands are sent. Each connection has a higher epoch; state verified under an earlier
        /// epoch must be verified again. In a cluster, every slot has a connected master, and the
        /// epoch rises with each new master or connection.
        case ready(epoch: Int)
        /// There is no connection; attempts continue. In a cluster, at least one master has no
        /// connection or a slot has no master; commands of other slots are executed.
        case unavailable(RedisOutage)
        case closed
    }

    private let handler: RedisHandler

    /// Creates a client, which does nothing before `start()`.
    ///
    /// - Parameters:
    ///   - scripts: the scripts that EVALSHA may name; loaded on each server before its first
    ///     command.
    ///   - seed: randomizes the retry delays; must differ between clients.
    ///   - user: held weakly.
    public init(
        _ settings: RedisSettings, scripts: [RedisScript] = [], on loop: EventLoop, seed: UInt64,
        user: any RedisClientUser
    ) {
        let network = RedisNetwork(settings, scripts: scripts, for: .commands, seed: seed, on: loop)
        self.handler = RedisHandler(network, on: loop) { [weak user] in
            user.map(ClientEventReceiver.init)
        }
    }

    /// Registers with the loop and connects.
    public func start() { self.handler.start() }

    /// The state that was reported last.
    public var state: State { self.handler.state }

    /// The number of commands without a reply, queued or in flight.
    public var commandCount: Int { self.handler.network.commandCount }

    /// Appends a command. Its reply or failure carries `tag` and never arrives before this function
    /// returns.
    ///
    /// Commands of the same slot are executed in this order. Throws `queueFull` or `closed`; then
    /// nothing was written, and no outcome is reported.
    ///
    /// - Parameter slot: the slot of the command's keys; see `RedisSlot`.
    @inline(__always)
    public func command(
        tag: CommandTag, slot: RedisSlot = .any, _ write: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        self.handler.requestFlush()
        try self.handler.network.command(tag: tag, slot: slot, now: .now, write)
    }

    /// Closes all connections at once. Commands without a reply get none, and nothing more is
    /// reported.
    public func close() { self.handler.close() }

    /// The connection that delivered the reply; valid during `redisReplied`.
    public var replyingConnection: RedisConnection { self.handler.network.replyingConnection }

    /// Writes a command to this connection only, for WAIT, which applies to the writes of its own
    /// connection.
    ///
    /// Throws `connectionLost` if that connection no longer exists, or as the function without a
    /// connection does.
    public func command(
        tag: CommandTag, slot: RedisSlot, over connection: RedisConnection,
        _ write: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        self.handler.requestFlush()
        try self.handler.network.command(
            tag: tag, slot: slot, over: connection, now: .now, write)
    }

    /// Publishes to a channel: with SPUBLISH in a cluster, with PUBLISH elsewhere. Subscribers that
    /// use the same kind of URL receive it.
    ///
    /// - Parameters:
    ///   - expectsReply: if false, the client suppresses the reply where the server allows it;
    ///     otherwise an outcome is still reported for `tag`.
    ///   - payload: writes one argument.
    public func publish(
        tag: CommandTag, to channel: ByteString, slot: RedisSlot, expectsReply: Bool = true,
        _ payload: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        func write(_ command: inout RedisCommandWriter) {
            command.append(self.handler.network.isRedisCluster ? "SPUBLISH" : "PUBLISH")
            command.append(text: channel)
            payload(&command)
        }
        if !expectsReply, self.commandWithoutReply(write) { return }
        try self.command(tag: tag, slot: slot, write)
    }

    private func commandWithoutReply(_ write: (inout RedisCommandWriter) -> Void) -> Bool {
        self.handler.requestFlush()
        return self.handler.network.commandWithoutReply(write)
    }

    /// One slot of each master; `.any` outside a cluster, none while the slot map is unknown.
    public var masterSlots: [RedisSlot] { self.handler.network.masterSlots }

    /// The endpoints that receive commands: one, or the masters of a cluster; none while unknown.
    public var endpoints: [RedisEndpoint] { self.handler.network.endpoints }

    /// Identifies the server that executes the slot's commands; nil while unknown.
    public func masterID(of slot: RedisSlot) -> Int? { self.handler.network.masterID(of: slot) }

    /// The endpoint of the server that executes the slot's commands; nil while unknown.
    public func endpoint(of slot: RedisSlot) -> RedisEndpoint? {
        self.handler.network.endpoint(of: slot)
    }

    /// Passes events to a client's user.
    private struct ClientEventReceiver: RedisEventReceiver {
        let user: any RedisClientUser

        func receive(_ event: RedisSession.Event) {
            switch event {
            case .reply(let reply, let tag): self.user.redisReplied(reply, to: tag)
            case .failed(let error, let tag): self.user.redisFailed(error, tag: tag)
            case .ready, .unavailable, .push, .notExecuted: break
            }
        }

        func receive(_ state: State) { self.user.redisChanged(state) }
    }
}
