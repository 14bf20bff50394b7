internal import ChatModel
internal import EventLoop
internal import RedisClient
internal import RedisStore

/// Reads from a cluster's Redis store without a node, and blocks the calling thread until the
/// answer has arrived.
///
/// It has a loop and a connection of its own. The store is the same one that nodes use, so there is
/// one reader of the stored format. It changes no key: index entries count as stale at an age that
/// none reaches, so the store removes none.
final class StoreReader: Sendable {
    private static let entriesNeverAge = Duration.seconds(Int64.max)
    /// More than any conversation has, because only the nodes know how many they retain.
    private static let wholeHistory = 1 << 52

    private let loop: EventLoop
    private let store: RedisStore

    /// Starts to connect; the first request waits for the connection.
    init(_ settings: RedisSettings, clusterName: String) throws(SocketError) {
        let loop = try EventLoop.start(name: "operator store")
        let store = RedisStore(
            RedisStoreSettings(
                clusterName: clusterName, history: Self.wholeHistory, url: settings.url,
                staleEntryAge: Self.entriesNeverAge), on: loop)
        self.loop = loop
        self.store = store
        loop.execute {
            let client = RedisClient(
                settings, scripts: RedisStore.scripts, on: loop, seed: 2, user: store)
            store.start(over: client)
            client.start()
        }
    }

    deinit { self.loop.stop() }

    /// Only for requests that read. It ends, at the latest with the timeouts of the settings.
    func read(_ request: StoreRequest) -> StoreAnswer { self.store.blockingAnswer(to: request) }
}
