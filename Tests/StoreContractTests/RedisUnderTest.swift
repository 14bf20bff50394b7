import ChatModel
import EventLoop
import Foundation
import RedisClient
import RedisStore
import Synchronization
import TestKit

/// A Redis store on a loop of its own. All of a kind share servers: each has another cluster's name.
final class RedisUnderTest: ChatStore {
    enum Kind: CaseIterable { case standalone, sentinel, cluster }

    /// Where stores of a kind are kept: until the process ends, because a cluster takes seconds to make. None of their servers dies.
    private final class SharedServers: Sendable {
        let url: String
        /// What redis-cli needs to reach it.
        let cliArguments: [String]
        private let servers: Mutex<[AnyObject]>

        init(_ kind: Kind) throws {
            switch kind {
            case .standalone:
                let server = try RedisServer()
                self.url = server.url
                self.cliArguments = ["-p", "\(server.port)"]
                self.servers = Mutex([server])
            case .sentinel:
                let trio = try RedisSentinelServers(failureTimeout: .seconds(60))
                self.url = trio.url
                self.cliArguments = ["-p", "\(trio.servers[0].port)"]
                self.servers = Mutex([trio])
            case .cluster:
                let cluster = try RedisClusterServers(failureTimeout: .seconds(60))
                self.url = cluster.url()
                self.cliArguments = ["-c", "-p", "\(cluster.servers[0].port)"]
                self.servers = Mutex([cluster])
            }
        }

        /// Ends the processes, each by its own number.
        func end() {
            let servers = self.servers.withLock { servers in
                defer { servers = [] }
                return servers
            }
            _ = consume servers
        }
    }

    private static let sharedServers = Mutex<[Kind: SharedServers]>([:])
    /// Nothing that is static is ever let go of otherwise.
    private static let endAtExit: Void = {
        atexit { RedisUnderTest.sharedServers.withLock { for house in $0.values { house.end() } } }
    }()
    private static let stores = Atomic(0)
    /// The first part of its keys.
    let name: String
    private let settings: RedisSettings
    private let confirmationTimeout: Duration
    private let cliArguments: [String]
    private let store: RedisStore
    private let client: RedisClient

    convenience init(_ kind: Kind, history: Int, staleEntryAge lineAge: Duration = .seconds(86_400))
        throws
    {
        Self.endAtExit
        let house = try Self.sharedServers.withLock { houses in
            let house = try houses[kind] ?? SharedServers(kind)
            houses[kind] = house
            return house
        }
        // Nothing happens to these servers but that the machine stands still for a moment.
        var settings = try RedisSettings(RedisURL(house.url))
        settings.commandTimeout = Deadline.defaultTimeout
        settings.silenceTimeout = Deadline.defaultTimeout
        try self.init(
            settings, history: history, confirmationTimeout: Deadline.defaultTimeout,
            staleEntryAge: lineAge, cliArguments: house.cliArguments)
    }

    /// A store on servers of the test's own.
    convenience init(
        at url: String, history: Int, confirmationTimeout patience: Duration = .seconds(5)
    ) throws {
        try self.init(RedisSettings(RedisURL(url)), history: history, confirmationTimeout: patience)
    }

    /// - Parameters:
    ///   - name: of a store's that was made before, which this is to share everything with.
    ///   - reach: what redis-cli needs.
    private init(
        _ settings: RedisSettings, history: Int, confirmationTimeout patience: Duration,
        staleEntryAge lineAge: Duration = .seconds(86_400), named name: String? = nil,
        cliArguments reach: [String] = []
    ) throws {
        let number = Self.stores.wrappingAdd(1, ordering: .relaxed).newValue
        let loop = try EventLoop.start(name: "redis-store-\(number)")
        let name = name ?? "test-\(number)"
        self.name = name
        self.settings = settings
        self.confirmationTimeout = patience
        self.cliArguments = reach
        let storeSettings = RedisStoreSettings(
            clusterName: name, history: history, url: settings.url, confirmationTimeout: patience,
            staleEntryAge: lineAge)
        let store = RedisStore(storeSettings, on: loop)
        let client = RedisClient(
            settings, scripts: RedisStore.scripts, on: loop, seed: UInt64(number), user: store)
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

    /// Another node's store, beside this one.
    func otherNode() throws -> RedisUnderTest {
        try RedisUnderTest(
            self.settings, history: 100, confirmationTimeout: self.confirmationTimeout,
            named: self.name, cliArguments: self.cliArguments)
    }

    /// What redis-cli prints, asked behind the store's back.
    @discardableResult
    func redisCLI(_ words: String...) throws -> String {
        let answer = try run(Checkout.program("redis-cli"), self.cliArguments + words)
        return answer.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    func submit(_ request: StoreRequest, ticket: StoreTicket, for client: any StoreClient) {
        self.store.submit(request, ticket: ticket, for: client)
    }
}
