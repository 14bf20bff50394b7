public import Bytes
public import EventLoop

/// Who hears what is published. All on the subscriber's loop; the bytes are good until the call returns.
public protocol RedisSubscriberUser: AnyObject, Sendable {
    /// From here on what is published in the channel comes. Again after every reconnection: what was published meanwhile is lost.
    func redisSubscribed(to channel: UnsafeRawBufferPointer)
    func redisPublished(_ payload: UnsafeRawBufferPointer, in channel: UnsafeRawBufferPointer)
    func redisSubscriberChanged(_ state: RedisClient.State)
}

/// The channels of Redis that one loop listens to, over a connection of its own: one that subscribes may do nothing else.
///
/// A guest of the loop; everything here is to be called on its thread. It connects again by itself and subscribes to the same channels.
/// Redis cuts it off when it reads too slowly, and promises nothing of what it sends.
///
/// With sentinels it listens at the master and follows it. In a cluster channels are those of SSUBSCRIBE, over a connection to each master that has
/// any, and are followed when their slot moves; `RedisClient.publish` reaches them.
public final class RedisSubscriber: EventLoopHandler {
    private struct Body {
        var network: RedisNetwork
        var state = RedisClient.State.connecting
        var flushedTurn: UInt64?
    }

    public let loop: EventLoop
    private let body: LoopBound<Body>
    private weak let user: (any RedisSubscriberUser)?

    /// Prepares a subscriber; nothing happens before `start()`.
    ///
    /// - Parameters:
    ///   - seed: of the waits between attempts to connect; another for each client.
    ///   - user: not kept alive by this.
    public init(_ settings: RedisSettings, on loop: EventLoop, seed: UInt64, user: any RedisSubscriberUser) {
        precondition(!settings.url.isSecure || settings.tls != nil, "A URL with rediss needs a TLS context.")
        self.loop = loop
        self.body = LoopBound(Body(network: RedisNetwork(settings, for: .subscription, seed: seed, on: loop)), on: loop)
        self.user = user
    }

    /// Becomes a guest of the loop and connects.
    public func start() {
        self.loop.admit(self)
        self.tick(now: .now)
    }

    /// What was told last.
    public var state: RedisClient.State { self.body.with { $0.state } }

    /// Listens to a channel, from when `redisSubscribed` says so. Twice is once.
    public func subscribe(to channel: ByteString) {
        self.body.with {
            $0.network.subscribe(to: channel, now: .now)
            self.askForTurn(&$0)
        }
    }

    /// Listens to it no more. Some messages may still come.
    public func unsubscribe(from channel: ByteString) {
        self.body.with {
            $0.network.unsubscribe(from: channel)
            self.askForTurn(&$0)
        }
    }

    /// Drops the connection and makes another, with the same channels: for a user who does not hear what must be there.
    public func reconnect() {
        self.body.with { $0.network.reconnect(now: .now) }
        self.loop.runAgain()
    }

    /// Ends the connection at once. Nothing is told any more.
    public func close() {
        self.body.with {
            $0.network.close()
            $0.state = .closed
        }
    }

    private func askForTurn(_ body: inout Body) {
        if body.flushedTurn == self.loop.turns.count { self.loop.runAgain() }
    }

    // MARK: The loop

    public func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {
        let now = MonotonicTime.now
        var isReadAgain: Bool
        repeat {
            isReadAgain = self.body.with { $0.network.socketReady(token, readable: readable, writable: writable, for: self, now: now) }
            self.tell(now: now)
        } while isReadAgain
    }

    public func turnEnding() {
        let now = MonotonicTime.now
        self.body.with {
            $0.network.flush(now: now)
            $0.flushedTurn = self.loop.turns.count
        }
        if self.tell(now: now) { self.loop.runAgain() }
    }

    public func tick(now: MonotonicTime) {
        self.attempt(self.body.with { $0.network.tick(now: now) })
        self.tell(now: now)
    }

    public func loopStopping() {
        self.close()
    }

    private func attempt(_ attempts: [RedisNetwork.Attempt]) {
        Resolver.resolve(attempts, on: self.loop) { [weak self] attempt, addresses in
            guard let self else { return }
            self.body.with { $0.network.connect(attempt, to: addresses, for: self, now: .now) }
            self.tell(now: .now)
        }
    }

    @discardableResult
    private func tell(now: MonotonicTime) -> Bool {
        guard var event = self.body.with({ $0.network.next(now: now) }) else { return false }
        let user = self.user
        while true {
            switch event {
            case .push(let reply): self.take(reply, for: user)
            case .ready(let epoch): self.change(to: .ready(epoch: epoch), for: user)
            case .away(let outage): self.change(to: .away(outage), for: user)
            case .reply, .failed, .returned: break
            }
            guard let next = self.body.with({ $0.network.next(now: now) }) else { return true }
            event = next
        }
    }

    /// `message`, channel, payload; `subscribe`, channel, count. Others, such as the answer to a ping, say nothing more than that they came.
    private func take(_ push: RedisReply, for user: (any RedisSubscriberUser)?) {
        var parts = push.elements
        guard let user, let kind = parts.next(), let channel = parts.next(), let last = parts.next() else { return }
        if kind.isText("message") || kind.isText("smessage") {
            user.redisPublished(last.bytes, in: channel.bytes)
        } else if kind.isText("subscribe") || kind.isText("ssubscribe") {
            user.redisSubscribed(to: channel.bytes)
        }
    }

    private func change(to state: RedisClient.State, for user: (any RedisSubscriberUser)?) {
        let isNews = self.body.with { body in
            defer { body.state = state }
            return body.state != state
        }
        if isNews { user?.redisSubscriberChanged(state) }
    }
}
