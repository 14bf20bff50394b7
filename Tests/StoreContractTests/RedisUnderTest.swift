import ChatModel
import EventLoop
import Foundation
import RedisClient
import RedisStore
import Synchronization
import TestKit

/// A Redis store on a loop of its own, in a Redis server that all of a run share: each store has another cluster's name.
final class RedisUnderTest: ChatStore {
    private static let server = Mutex<RedisServer?>(nil)
    private static let stores = Atomic(0)
    private let store: RedisStore
    private let client: RedisClient

    init(history: Int) throws {
        let url = try Self.server.withLock { server in
            if server == nil { server = try RedisServer() }
            return server!.url
        }
        let number = Self.stores.wrappingAdd(1, ordering: .relaxed).newValue
        let settings = try RedisSettings(RedisURL(url))
        let loop = try EventLoop.start(name: "redis-store-\(number)")
        let store = RedisStore(RedisStoreSettings(clusterName: "test-\(number)", history: history, url: settings.url), on: loop)
        let client = RedisClient(settings, scripts: RedisStore.scripts, on: loop, seed: UInt64(number), user: store)
        loop.execute {
            store.start(over: client)
            client.start()
        }
        self.store = store
        self.client = client
    }

    deinit {
        self.store.loop.stop()
    }

    func submit(_ request: StoreRequest, ticket: StoreTicket, for client: any StoreClient) {
        self.store.submit(request, ticket: ticket, for: client)
    }
}
