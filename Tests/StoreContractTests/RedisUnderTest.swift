import ChatModel
import EventLoop
import Foundation
import RedisClient
import RedisStore
import Synchronization
import TestKit

/// A Redis store on a loop of its own. Those that are there at the same time share a server: each has another cluster's name.
final class RedisUnderTest: ChatStore {
    /// Ends with the last store that is in it.
    private final class House: Sendable {
        let server: Mutex<RedisServer>
        let url: String

        init() throws {
            let server = try RedisServer()
            self.url = server.url
            self.server = Mutex(server)
        }
    }

    private struct Shared {
        weak var house: House?
    }

    private static let shared = Mutex(Shared())
    private static let stores = Atomic(0)
    private let house: House
    private let store: RedisStore
    private let client: RedisClient

    init(history: Int) throws {
        let house = try Self.shared.withLock { shared in
            let house = try shared.house ?? House()
            shared.house = house
            return house
        }
        self.house = house
        let number = Self.stores.wrappingAdd(1, ordering: .relaxed).newValue
        let settings = try RedisSettings(RedisURL(house.url))
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
