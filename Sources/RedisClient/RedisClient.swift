public import Bytes
public import EventLoop

/// Who gives commands, and hears what became of each: exactly one of `redisReplied` and `redisFailed`, unless the client is closed, and in
/// the order of the commands; in a cluster in the order of each slot's, but see `RedisClient`. All on the client's loop.
public protocol RedisClientUser: AnyObject, Sendable {
    /// The reply is good until this returns. It is no error: those come as `redisFailed`.
    func redisReplied(_ reply: RedisReply, to tag: UInt64)
    func redisFailed(_ error: RedisError, tag: UInt64)
    /// Comes before the failures of the commands that were under way.
    func redisChanged(_ state: RedisClient.State)
}

/// Redis for one loop: commands go into a pipeline, replies come to the loop's one user.
///
/// A guest of the loop; everything here is to be called on its thread. What a turn of the loop brings leaves in one write when the turn
/// ends. Nothing is sent twice: when a connection breaks, whoever gave the commands decides about each of them. Commands wait while there
/// is no connection, up to `RedisSettings.commandTimeout` and the bounds there.
///
/// **Sentinels**: all of them are asked, and listened to for news of another master. A server gets commands when it says itself that it is the
/// master. It is left at once when the sentinels have another, and when it answers READONLY; that command has failed, and so has what is
/// under way. The URL's user and password are for the servers; a sentinel gets them only when it answers NOAUTH.
///
/// **Cluster**: a connection to each master, and one more that asks where the slots are. What a server says is elsewhere (MOVED, ASK) is sent there,
/// and what it puts off (TRYAGAIN) is sent again, both within bounds: no server has done it. While that happens to a command, later ones
/// of its slot that are under way may be done before it, so who needs their order must check it where it counts, in the script. A
/// WAIT that was written right behind a command of its slot goes with it, and what the first server says to that WAIT is not told: else
/// one server would confirm what another does. A WAIT that comes later needs the connection that its command was answered on. The bounds
/// of commands and bytes are those of each connection. When a master fails, so do its commands; what comes after them waits for the next.
public final class RedisClient: Sendable {
    public enum State: Sendable, Equatable {
        /// There has been no connection yet.
        case connecting
        /// Commands are sent. Each connection has a higher epoch: what was verified under another is to be verified again. In a cluster all
        /// masters are connected and every slot has one, and the epoch rises with each other master or connection.
        case ready(epoch: Int)
        /// There is no connection any more, or none came about; attempts go on. In a cluster so it is with one master at least, or a slot
        /// has none; commands of other slots are done.
        case unavailable(RedisOutage)
        case closed
    }

    private let isCluster: Bool
    private let handler: RedisHandler

    /// Prepares a client; nothing happens before `start()`.
    ///
    /// - Parameters:
    ///   - scripts: what EVALSHA may name. The server has them before it gets the first command.
    ///   - seed: of the waits between attempts to connect; another for each client.
    ///   - user: not kept alive by this.
    public init(
        _ settings: RedisSettings, scripts: [RedisScript] = [], on loop: EventLoop, seed: UInt64,
        user: any RedisClientUser
    ) {
        self.isCluster = settings.url.kind == .cluster
        let network = RedisNetwork(settings, scripts: scripts, for: .commands, seed: seed, on: loop)
        self.handler = RedisHandler(network, on: loop) { [weak user] in
            user.map(ClientEventReceiver.init)
        }
    }

    /// Becomes a guest of the loop and connects.
    public func start() { self.handler.start() }

    /// What was told last.
    public var state: State { self.handler.state }

    /// How many commands are unanswered, waiting or under way.
    public var commandCount: Int { self.handler.loopState.with { $0.network.commandCount } }

    /// Writes a command behind all others. Its reply or failure comes with `tag`, never before this returns.
    ///
    /// Commands of the same slot are done in this order. Throws `queueFull` or `closed`; then nothing was written and nothing will be told.
    ///
    /// - Parameter slot: of the command's keys; see `RedisSlot`.
    @inline(__always)
    public func command(
        tag: UInt64, slot: RedisSlot = .any, _ write: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        try self.handler.loopState.with { body throws(RedisError) in
            self.handler.requestFlush(&body)
            try body.network.command(tag: tag, slot: slot, now: .now, write)
        }
    }

    /// Ends the connection at once. Commands that are unanswered stay so, and nothing is told any more.
    public func close() { self.handler.close() }

    /// While `redisReplied` is called: the connection that brought the reply.
    public var replyingConnection: RedisConnection {
        self.handler.loopState.with { $0.network.replyingConnection }
    }

    /// Writes a command to one connection and no other: for WAIT, which is about what its own connection has written.
    ///
    /// Throws `connectionLost` when that connection is no more, and otherwise as the command without one.
    public func command(
        tag: UInt64, slot: RedisSlot, over connection: RedisConnection,
        _ write: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        try self.handler.loopState.with { body throws(RedisError) in
            self.handler.requestFlush(&body)
            try body.network.command(tag: tag, slot: slot, over: connection, now: .now, write)
        }
    }

    /// Publishes in a channel, as those that subscribe over such a URL hear it: SPUBLISH in a cluster, PUBLISH elsewhere.
    ///
    /// - Parameters:
    ///   - isHeardOf: whether anybody wants the reply. Without, it is asked for only where that cannot be helped, and `tag` may be told.
    ///   - payload: writes one word.
    public func publish(
        tag: UInt64, to channel: ByteString, slot: RedisSlot, expectsReply isHeardOf: Bool = true,
        _ payload: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        func write(_ command: inout RedisCommandWriter) {
            command.append(self.isCluster ? "SPUBLISH" : "PUBLISH")
            command.append(text: channel)
            payload(&command)
        }
        if !isHeardOf, self.commandWithoutReply(write) { return }
        try self.command(tag: tag, slot: slot, write)
    }

    private func commandWithoutReply(_ write: (inout RedisCommandWriter) -> Void) -> Bool {
        self.handler.loopState.with { body in
            self.handler.requestFlush(&body)
            return body.network.commandWithoutReply(write)
        }
    }

    /// A slot of each server that takes commands; `.any` where there is one. None while the cluster is not known.
    public var masterSlots: [RedisSlot] {
        self.isCluster ? self.handler.loopState.with { $0.network.routes.map.firstSlots } : [.any]
    }

    /// Where the servers are that commands go to: one, or the masters of a cluster; none while it is not known.
    public var endpoints: [RedisEndpoint] { self.handler.loopState.with { $0.network.endpoints } }

    /// Tells apart the servers that take commands of slots; nil while it is not known which that is.
    public func masterID(of slot: RedisSlot) -> Int? {
        self.handler.loopState.with { $0.network.masterID(of: slot) }
    }

    /// Where the server is that takes commands of a slot; nil while it is not known.
    public func endpoint(of slot: RedisSlot) -> RedisEndpoint? {
        self.handler.loopState.with { $0.network.endpoint(of: slot) }
    }

    /// Brings a client's user what there is to hear.
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
