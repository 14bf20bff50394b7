import ChatModel
import EmbeddedStore
import StoreTestSupport
import TestKit
import Testing

/// A kind of store that must satisfy the contract. A new one needs a line in `available` and a way
/// to open it.
struct StoreUnderTest: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// Opens an empty store with this history limit.
    let open: @Sendable (_ history: Int) throws -> any ChatStore

    static let available = [memory, sqlite, redis, redisSentinel, redisCluster]
    /// The stores that keep all messages if the limit is 0.
    static let unlimited = [memory, sqlite]
    /// The stores that search messages.
    static let searching = available

    static let memory = StoreUnderTest(testDescription: "memory") { LocalStore.memory(history: $0) }
    static let redis = StoreUnderTest(testDescription: "Redis") {
        try RedisUnderTest(.standalone, history: $0)
    }
    static let redisSentinel = StoreUnderTest(testDescription: "Redis by Sentinel") {
        try RedisUnderTest(.sentinel, history: $0)
    }
    static let redisCluster = StoreUnderTest(testDescription: "Redis Cluster") {
        try RedisUnderTest(.cluster, history: $0)
    }
    static let sqlite = StoreUnderTest(testDescription: "SQLite") { history in
        try TemporaryStore { try LocalStore.sqlite(path: "\($0.path)/confab.db", history: history) }
    }
}
