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
public final class RedisSubscriber: Sendable {
    private let handler: RedisHandler

    /// Prepares a subscriber; nothing happens before `start()`.
    ///
    /// - Parameters:
    ///   - seed: of the waits between attempts to connect; another for each client.
    ///   - user: not kept alive by this.
    public init(
        _ settings: RedisSettings, on loop: EventLoop, seed: UInt64, user: any RedisSubscriberUser
    ) {
        let network = RedisNetwork(settings, for: .subscription, seed: seed, on: loop)
        self.handler = RedisHandler(network, on: loop) { [weak user] in
            user.map(SubscriberEventReceiver.init)
        }
    }

    /// Becomes a guest of the loop and connects.
    public func start() { self.handler.start() }

    /// What was told last.
    public var state: RedisClient.State { self.handler.state }

    /// Listens to a channel, from when `redisSubscribed` says so. Twice is once.
    public func subscribe(to channel: ByteString) {
        self.handler.loopState.with {
            $0.network.subscribe(to: channel, now: .now)
            self.handler.requestFlush(&$0)
        }
    }

    /// Listens to it no more. Some messages may still come.
    public func unsubscribe(from channel: ByteString) {
        self.handler.loopState.with {
            $0.network.unsubscribe(from: channel)
            self.handler.requestFlush(&$0)
        }
    }

    /// Drops the connection and makes another, with the same channels: for a user who does not hear what must be there.
    public func reconnect() {
        self.handler.loopState.with { $0.network.reconnect(now: .now) }
        self.handler.loop.requestTurn()
    }

    /// Ends the connection at once. Nothing is told any more.
    public func close() { self.handler.close() }

    /// Brings a subscriber's user what there is to hear.
    private struct SubscriberEventReceiver: RedisEventReceiver {
        let user: any RedisSubscriberUser

        /// `message`, channel, payload; `subscribe`, channel, count. Others, such as the answer to a ping, say nothing more than that they came.
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
