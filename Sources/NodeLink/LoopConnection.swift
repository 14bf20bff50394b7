public import EventLoop
public import RedisClient
public import RedisStore

/// One loop's connection to Redis, shared by its store and its mail to other nodes.
public final class LoopConnection: Sendable {
    public let store: RedisStore
    let client: RedisClient
    private let switchboard: Switchboard

    /// - Parameter seed: of the waits between attempts to connect; another for each loop.
    public init(_ settings: RedisSettings, store: RedisStoreSettings, on loop: EventLoop, seed: UInt64) {
        let store = RedisStore(store, on: loop)
        let switchboard = Switchboard(store: store)
        var settings = settings
        settings.asksForSilence = true
        let client = RedisClient(settings, scripts: RedisStore.scripts, on: loop, seed: seed, user: switchboard)
        self.store = store
        self.switchboard = switchboard
        self.client = client
        loop.execute {
            store.start(over: client)
            client.start()
        }
    }

    /// Knows whose a reply is.
    private final class Switchboard: RedisClientUser {
        let store: RedisStore

        init(store: RedisStore) {
            self.store = store
        }

        func redisReplied(_ reply: RedisReply, to tag: UInt64) {
            if tag != MailOutlet.tag { self.store.redisReplied(reply, to: tag) }
        }

        func redisFailed(_ error: RedisError, tag: UInt64) {
            if tag != MailOutlet.tag { self.store.redisFailed(error, tag: tag) }
        }

        func redisChanged(_ state: RedisClient.State) {
            self.store.redisChanged(state)
        }
    }
}
