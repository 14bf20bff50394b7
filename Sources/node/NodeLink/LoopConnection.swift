public import EventLoop
public import RedisClient
public import RedisStore
import Synchronization

/// One loop's connection to Redis, which its store and its packets to other nodes share.
public final class LoopConnection: Sendable {
    public let store: RedisStore
    let client: RedisClient
    private let replyRouter: ReplyRouter

    /// - Parameters:
    ///   - seed: for the random backoff of reconnects; different for each loop.
    ///   - searcher: executes the searches; nil for a store that cannot search.
    public init(
        _ settings: RedisSettings, store: RedisStoreSettings, on loop: EventLoop, seed: UInt64,
        searcher: RedisSearcher? = nil
    ) {
        let store = RedisStore(store, on: loop, searcher: searcher)
        let replyRouter = ReplyRouter(store: store)
        var settings = settings
        settings.suppressesReplies = true
        let client = RedisClient(
            settings, scripts: RedisStore.scripts, on: loop, seed: seed, user: replyRouter)
        self.store = store
        self.replyRouter = replyRouter
        self.client = client
        loop.execute {
            store.start(over: client)
            client.start()
        }
    }

    /// `connecting`, `ready`, `closed`, or why Redis is unavailable. On any thread.
    var stateText: String {
        switch self.replyRouter.state.withLock({ $0 }) {
        case .connecting: "connecting"
        case .ready: "ready"
        case .unavailable(let outage): outage.description
        case .closed: "closed"
        }
    }

    /// Routes replies to the store or the publisher.
    private final class ReplyRouter: RedisClientUser {
        let store: RedisStore
        /// The state that the client has reported last.
        let state = Mutex(RedisClient.State.connecting)

        init(store: RedisStore) {
            self.store = store
        }

        func redisReplied(_ reply: RedisReply, to tag: CommandTag) {
            if tag != PacketPublisher.tag { self.store.redisReplied(reply, to: tag) }
        }

        func redisFailed(_ error: RedisError, tag: CommandTag) {
            if tag != PacketPublisher.tag { self.store.redisFailed(error, tag: tag) }
        }

        func redisChanged(_ state: RedisClient.State) {
            self.state.withLock { $0 = state }
            self.store.redisChanged(state)
        }
    }
}
