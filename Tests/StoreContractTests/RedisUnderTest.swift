import ChatModel
import EventLoop
import Foundation
import RedisClient
import Synchronization
import TestKit

@testable import RedisStore

/// A Redis store on a loop of its own. Stores of a kind share servers and differ in their cluster
/// name, unless a test needs servers of its own.
final class RedisUnderTest: ChatStore {
    enum Kind: CaseIterable { case standalone, sentinel, cluster }

    /// The servers of one kind. Those that all tests share run until the process ends, because a
    /// cluster takes seconds to start. No test stops them.
    private final class SharedServers: Sendable {
        let url: String
        /// The redis-cli arguments that select the servers.
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
                let trio = try RedisSentinelServers()
                self.url = trio.url
                self.cliArguments = ["-p", "\(trio.servers[0].port)"]
                self.servers = Mutex([trio])
            case .cluster:
                let cluster = try RedisClusterServers()
                self.url = cluster.url()
                self.cliArguments = ["-c", "-p", "\(cluster.servers[0].port)"]
                self.servers = Mutex([cluster])
            }
        }

        /// Ends the processes, each by its own id.
        func end() {
            let servers = self.servers.withLock { servers in
                defer { servers = [] }
                return servers
            }
            _ = consume servers
        }
    }

    private static let sharedServers = Mutex<[Kind: SharedServers]>([:])
    /// Static values are never released otherwise.
    private static let endAtExit: Void = {
        atexit {
            RedisUnderTest.sharedServers.withLock { for shared in $0.values { shared.end() } }
        }
    }()
    private static let stores = Atomic(0)
    /// The first part of the store's keys.
    let name: String
    private let settings: RedisSettings
    private let confirmationTimeout: Duration
    private let cliArguments: [String]
    /// The servers that only this store and its `otherNode()` use.
    private let ownServers: SharedServers?
    private let store: RedisStore
    private let client: RedisClient
    private let searcher: RedisSearcher
    /// The loop of the searches.
    let searchLoop: EventLoop

    /// - Parameter hasOwnServers: for a test that changes more of its servers than its keys.
    convenience init(
        _ kind: Kind, history: Int, staleEntryAge: Duration = .seconds(86_400),
        outbox: OutboxWriter? = nil, hasOwnServers: Bool = false
    ) throws {
        Self.endAtExit
        let own = try hasOwnServers ? SharedServers(kind) : nil
        let servers = try own ?? RedisUnderTest.servers(of: kind)
        try self.init(
            Self.patientSettings(servers.url), history: history,
            confirmationTimeout: Deadline.defaultTimeout, staleEntryAge: staleEntryAge,
            cliArguments: servers.cliArguments, ownServers: own, outbox: outbox)
    }

    /// The shared servers.
    private static func servers(of kind: Kind) throws -> SharedServers {
        try self.sharedServers.withLock { allServers in
            let shared = try allServers[kind] ?? SharedServers(kind)
            allServers[kind] = shared
            return shared
        }
    }

    /// A store on the test's own servers.
    ///
    /// - Parameter isPatient: for servers that do not fail.
    convenience init(
        at url: String, history: Int, confirmationTimeout: Duration = .seconds(5),
        isPatient: Bool = false
    ) throws {
        try self.init(
            isPatient ? Self.patientSettings(url) : RedisSettings(RedisURL(url)), history: history,
            confirmationTimeout: confirmationTimeout)
    }

    /// Settings for servers that do not fail: only the machine or its disk may stall for a moment.
    private static func patientSettings(_ url: String) throws -> RedisSettings {
        var settings = try RedisSettings(RedisURL(url))
        settings.commandTimeout = Deadline.defaultTimeout
        settings.silenceTimeout = Deadline.defaultTimeout
        return settings
    }

    /// - Parameters:
    ///   - name: the cluster name of an existing store, to share all its data.
    ///   - cliArguments: the redis-cli arguments that select the servers.
    ///   - ownServers: run at least as long as the store exists.
    private init(
        _ settings: RedisSettings, history: Int, confirmationTimeout: Duration,
        staleEntryAge: Duration = .seconds(86_400), named name: String? = nil,
        cliArguments: [String] = [], ownServers: SharedServers? = nil, outbox: OutboxWriter? = nil
    ) throws {
        let number = Self.stores.wrappingAdd(1, ordering: .relaxed).newValue
        let loop = try EventLoop.start(name: "redis-store-\(number)")
        let name = name ?? "test-\(number)"
        self.name = name
        self.settings = settings
        self.confirmationTimeout = confirmationTimeout
        self.cliArguments = cliArguments
        self.ownServers = ownServers
        var storeSettings = RedisStoreSettings(
            clusterName: name, history: history, url: settings.url,
            confirmationTimeout: confirmationTimeout,
            staleEntryAge: staleEntryAge)
        storeSettings.outbox = outbox
        let searcher = try RedisSearcher(settings, store: storeSettings, seed: UInt64(number))
        let store = RedisStore(storeSettings, on: loop, searcher: searcher)
        let client = RedisClient(
            settings, scripts: RedisStore.scripts, on: loop, seed: UInt64(number), user: store)
        loop.execute {
            store.start(over: client)
            client.start()
        }
        self.store = store
        self.client = client
        self.searcher = searcher
        self.searchLoop = searcher.loop
    }

    deinit {
        self.store.loop.stop()
    }

    /// The store of another node, with the same data.
    func otherNode() throws -> RedisUnderTest {
        try RedisUnderTest(
            self.settings, history: 100, confirmationTimeout: self.confirmationTimeout,
            named: self.name, cliArguments: self.cliArguments, ownServers: self.ownServers)
    }

    /// Runs redis-cli, bypassing the store, and returns its output.
    @discardableResult
    func redisCLI(_ arguments: String...) throws -> String {
        let answer = try run(Checkout.program("redis-cli"), self.cliArguments + arguments)
        return answer.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// The processor time that the store's loop and the searches have used.
    func loopTimes() async -> (store: Duration, searches: Duration) {
        (await Self.time(of: self.store.loop), await Self.time(of: self.searchLoop))
    }

    private static func time(of loop: EventLoop) async -> Duration {
        await withCheckedContinuation { continuation in
            loop.execute {
                var time = timespec()
                clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
                continuation.resume(
                    returning: .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec))
            }
        }
    }

    func submit(_ request: StoreRequest, ticket: StoreTicket, for client: any StoreClient) {
        self.store.submit(request, ticket: ticket, for: client)
    }
}
