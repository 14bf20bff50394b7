public import Bytes
public import EventLoop

/// Receives published messages on the subscriber's loop. The bytes are valid until the call
/// returns.
public protocol RedisSubscriberUser: AnyObject, Sendable {
    /// From now on, messages of the channel arrive. Called again after every reconnection; messages
    /// published in between are lost.
    func redisSubscribed(to channel: UnsafeRawBufferPointer)
    func redisPublished(_ payload: UnsafeRawBufferPointer, in channel: UnsafeRawBufferPointer)
    func redisSubscriberChanged(_ state: RedisClient.State)
}

/// The channels that one loop subscribes to, over a connection of their own, because a subscribed
/// connection accepts no other commands.
///
/// A handler of the loop; all functions must be called on the loop's thread. The subscriber
/// reconnects by itself and subscribes to the same channels. Redis disconnects a subscriber that
/// reads too slowly, and delivers at most once.
///
/// With sentinels it subscribes at the master and follows it. In a cluster it uses SSUBSCRIBE, over
/// a connection to each master that owns a channel's slot, and follows slots that move.
/// `RedisClient.publish` reaches these channels.
public final class RedisSubscriber: Sendable {
    private let handler: RedisHandler

    /// Creates a subscriber, which does nothing before `start()`.
    ///
    /// - Parameters:
    ///   - seed: randomizes the retry delays; must differ between clients.
    ///   - user: held weakly.
    public init(
        _ settings: RedisSettings, on loop: EventLoop, seed: UInt64, user: any RedisSubscriberUser
    ) {
        let network = RedisNetwork(settings, for: .subscription, seed: seed, on: loop)
        self.handler = RedisHandler(network, on: loop) { [weak user] in
            user.map(SubscriberEventReceiver.init)
        }
    }

    /// Registers with the loop and connects.
    public func start() { self.handler.start() }

    /// The state that was reported last.
    public var state: RedisClient.State { self.handler.state }

    /// Subscribes to a channel; messages arrive after `redisSubscribed`. A repeated call has no
    /// effect.
    public func subscribe(to channel: ByteString) {
        self.handler.network.subscribe(to: channel, now: .now)
        self.handler.requestFlush()
    }

    /// Ends a subscription. A few messages may still arrive.
    public func unsubscribe(from channel: ByteString) {
        self.handler.network.unsubscribe(from: channel)
        self.handler.requestFlush()
    }

    /// Replaces the connection and keeps the channels, for a user that misses messages it should
    /// have received.
    public func reconnect() {
        self.handler.network.reconnect(now: .now)
        self.handler.loop.requestTurn()
    }

    /// Closes the connection at once; nothing more is reported.
    public func close() { self.handler.close() }

    /// Passes events to a subscriber's user.
    private struct SubscriberEventReceiver: RedisEventReceiver {
        let user: any RedisSubscriberUser

        /// Reads `message`, channel, payload and `subscribe`, channel, count. Others, such as the
        /// reply to a PING, need no handling.
        func receive(_ event: RedisSession.Event) {
            guard case .push(let push) = event else { return }
            var parts = push.elements
            guard let kind = parts.next(), let channel = parts.next(), let last = parts.next()
            else { return }
            if kind.isText("message") || kind.isText("smessage") {
                self.user.redisPublished(last.bytes, in: channel.bytes)
            } else if kind.isText("subscribe") || kind.isText("ssubscribe") {
                self.user.redisSubscribed(to: channel.bytes)
            }
        }

        func receive(_ state: RedisClient.State) { self.user.redisSubscriberChanged(state) }
    }
}
