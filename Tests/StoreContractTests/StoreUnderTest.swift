import ChatModel
import EmbeddedStore
import StoreTestSupport
import TestKit
import TestTraits
import Testing

/// A kind of store that must satisfy the contract. A new one needs a line in `available` and a way
/// to open it.
struct StoreUnderTest: Sendable, CustomTestStringConvertible {
    let testDescription: String
    private let make: @Sendable (_ history: Int, OutboxWriter?) throws -> any ChatStore

    /// Opens an empty store with this history limit.
    func open(_ history: Int, outbox: OutboxWriter? = nil) throws -> any ChatStore {
        try self.make(history, outbox)
    }

    /// A run without programs has no Redis.
    static let available =
        [memory, sqlite] + (TestRun.hasPrograms ? [redis, redisSentinel, redisCluster] : [])
    /// Each implementation once: the three kinds of Redis share theirs.
    static let implementations = Array(available.prefix(3))
    /// The stores that keep all messages if the limit is 0.
    static let unlimited = [memory, sqlite]
    /// The stores that search messages.
    static let searching = available

    static let memory = StoreUnderTest(testDescription: "memory") {
        MemoryStore(history: $0, outbox: $1)
    }
    static let redis = StoreUnderTest(testDescription: "Redis") {
        try RedisUnderTest(.standalone, history: $0, outbox: $1)
    }
    static let redisSentinel = StoreUnderTest(testDescription: "Redis by Sentinel") {
        try RedisUnderTest(.sentinel, history: $0, outbox: $1)
    }
    static let redisCluster = StoreUnderTest(testDescription: "Redis Cluster") {
        try RedisUnderTest(.cluster, history: $0, outbox: $1)
    }
    static let sqlite = StoreUnderTest(testDescription: "SQLite") { history, outbox in
        try TemporaryStore {
            try SQLiteStore(
                path: "\($0.path)/confab.db", history: history, outbox: outbox)
        }
    }
}

/// Its reason says in a run without programs that the contract was tested without Redis.
@Suite("The contract of stores", .programs)
struct StoresUnderTestTests {
    @Test("is tested with Redis, with Redis Sentinel and with Redis Cluster")
    func redis() { #expect(StoreUnderTest.available.count == 5) }
}
