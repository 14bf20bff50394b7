internal import Bytes
internal import EventLoop

/// One server that executes all commands and has all channels: the whole of a standalone client,
/// and the master of a client with sentinels.
///
/// Its state is that of its session.
struct SingleServer {
    var link: RedisLink
    private let mode: RedisSession.SessionMode
    private var subscriptions = ChannelSubscriptions()

    init(_ link: RedisLink, for mode: RedisSession.SessionMode) {
        self.link = link
        self.mode = mode
    }

    /// The standalone server of the URL.
    init(_ links: RedisLinkFactory) {
        var links = links
        self.init(
            links.makeServerLink(to: links.settings.url.endpoints[0], as: .standalone),
            for: links.mode)
    }

    /// Nil while the server is unknown.
    var endpoint: RedisEndpoint? { self.link.endpoint }

    /// The connection whose reply was delivered last.
    var connection: RedisConnection {
        RedisConnection(linkID: self.link.id, epoch: self.link.session.epoch)
    }

    // MARK: Commands and channels

    @inline(__always)
    mutating func command(
        tag: CommandTag, now: MonotonicTime, _ write: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        try self.link.session.command(tag: tag, now: now, write)
    }

    /// Writes a command to one connection, and throws if that connection no longer exists.
    mutating func command(
        tag: CommandTag, over connection: RedisConnection, now: MonotonicTime,
        _ write: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        guard connection == self.connection, self.link.session.isReady else {
            throw .connectionLost(mayBeExecuted: false)
        }
        try self.link.session.command(tag: tag, now: now, write)
    }

    mutating func subscribe(to channel: ByteString) {
        guard self.subscriptions.add(channel) else { return }
        self.link.session.send("SUBSCRIBE", [channel])
    }

    mutating func unsubscribe(from channel: ByteString) {
        guard let channel = self.subscriptions.remove(channel) else { return }
        self.link.session.send("UNSUBSCRIBE", [channel.name])
    }

    // MARK: Events

    /// The next event; nil when there are no more.
    @inline(__always)
    mutating func next(now: MonotonicTime) -> RedisSession.Event? {
        let event = self.link.next(now: now)
        if case .ready? = event { self.resubscribe() }
        return event
    }

    private mutating func resubscribe() {
        guard self.mode == .subscription, !self.subscriptions.channels.isEmpty else { return }
        self.link.session.send("SUBSCRIBE", self.subscriptions.channels.map(\.name))
    }
}

extension RedisSession {
    mutating func send(_ name: StaticString, _ arguments: [ByteString] = []) {
        self.send {
            $0.append(name)
            for argument in arguments { $0.append(text: argument) }
        }
    }
}
