import EventLoop
import Glibc
import SeededRandom
import SimulatedNetwork
public import SimulatedRedis
public import Telemetry

/// A cluster of three nodes with Redis and users, in one thread and by a seed.
///
/// For some time, links, nodes and Redis fail. Then everything works again, and the users must
/// agree. The promises that are judged: an acknowledged message is there exactly once, and all
/// users of a conversation receive all its messages in one order, without a gap.
public final class NodeSimulation {
    /// The outcome of a simulation.
    public struct TrialOutcome: Sendable {
        public let seed: UInt64
        public let simulatedSeconds: Int
        public let messages: Int
        public let connections: Int
        /// A hash of all bytes that arrived, with their times.
        public let digest: UInt64
        /// The first broken promise.
        public let violation: String?
        /// The faults, with their times.
        public let history: [String]
    }

    /// The size and the faults of a simulation.
    public struct SimulationSettings: Sendable {
        public var nodes = 3
        /// 1 for a standalone Redis, more for the masters of a Redis Cluster.
        public var redisMasters = 1
        public var users = 6...9
        public var hasFaults = true
        /// The time during which users send.
        public var seconds: Int64 = 100

        /// Three nodes with faults.
        public init() {}
    }

    private let seed: UInt64
    private let settings: SimulationSettings
    let network: SimulatedNetwork
    let redisHosts: [SimulatedHost]
    /// The servers of `redisHosts`.
    public let redis: [SimulatedRedis]
    let nodeHosts: [SimulatedHost]
    private var userHosts: [SimulatedHost] = []
    private var users: [SimulatedUser] = []
    private let logger: Logger
    private(set) var history: [String] = []
    var faultCount = 0

    static let second: Int64 = 1_000_000_000

    private static let discarded = LogWriter(descriptor: open("/dev/null", O_WRONLY | O_CLOEXEC))

    /// - Parameter writer: for the nodes' log; nil for none.
    public init(seed: UInt64, _ settings: SimulationSettings = .init(), writer: LogWriter? = nil) {
        self.seed = seed
        self.settings = settings
        self.logger = Logger(
            level: writer == nil ? .error : .debug, format: .text,
            writer: writer ?? Self.discarded)
        let network = SimulatedNetwork(seed: seed)
        // Mostly one rack, sometimes several cities.
        network.standardLink.latencyMicroseconds =
            network.random.pick([50...300, 50...300, 500...5_000, 5_000...40_000]) ?? 50...300
        func host(_ name: String) -> SimulatedHost {
            network.addHost(
                name, clockOffset: network.random.number(-2 * Self.second...2 * Self.second),
                driftPPM: network.random.number(-200...200))
        }
        let redisHosts = (1...settings.redisMasters).map { host("redis\($0)") }
        let addresses = redisHosts.map(\.address)
        self.redisHosts = redisHosts
        self.redis = redisHosts.indices.map {
            SimulatedRedis(
                addresses.count == 1 ? nil : SimulatedClusterMaster($0, of: addresses))
        }
        self.nodeHosts = (1...settings.nodes).map { host("n\($0)") }
        self.network = network
    }

    /// Plays the simulation to its end.
    public func play() throws -> TrialOutcome {
        for host in self.redisHosts { try self.startRedis(host) }
        for host in self.nodeHosts { try self.startNode(host) }
        let userCount = self.network.random.number(self.settings.users)
        let conversations = self.network.random.number(1...3)
        for number in 1...userCount {
            self.addUser("u\(number)", in: "room-\(number % conversations)", sends: true)
        }
        let end = self.settings.seconds * Self.second
        if self.settings.hasFaults { self.scheduleFaults(until: end) }
        self.network.run(until: end)
        self.heal()
        for user in self.users { user.sends = false }
        for number in 0..<conversations {
            self.addUser("observer-\(number)", in: "room-\(number)", sends: false)
        }
        let limit = end + 240 * Self.second
        while self.network.now < limit, self.violation == nil, !self.isSettled {
            self.network.run(until: self.network.now + Self.second)
        }
        let violation = self.violation ?? self.disagreement
        let outcome = TrialOutcome(
            seed: self.seed, simulatedSeconds: Int(self.network.now / Self.second),
            messages: self.users.reduce(0) { $0 + $1.acknowledged.count },
            connections: self.users.reduce(0) { $0 + $1.connectionCount },
            digest: self.network.digest, violation: violation, history: self.history)
        self.network.shutDown()
        for user in self.users { user.note = { _ in } }
        return outcome
    }

    // MARK: Processes

    func startRedis(_ host: SimulatedHost) throws {
        guard let index = self.redisHosts.firstIndex(where: { $0 === host }) else { return }
        try host.start { try SimulatedRedisProcess(self.redis[index], on: host) }
    }

    private var redisURL: String {
        let scheme = self.redisHosts.count == 1 ? "redis" : "redis+cluster"
        let endpoints = self.redisHosts.map { "\($0.address):6379" }
        return "\(scheme)://\(endpoints.joined(separator: ","))"
    }

    func startNode(_ host: SimulatedHost) throws {
        let incarnation = self.network.random.next() | 1
        let loops = self.network.random.number(1...2)
        try host.start {
            try ServingNode(
                host.name, on: host, incarnation: incarnation, loops: loops,
                redis: self.redisURL, logger: self.logger)
        }
    }

    private func addUser(_ name: String, in conversation: String, sends: Bool) {
        let user = SimulatedUser(
            name, in: conversation, nodes: self.nodeHosts.map(\.address), sends: sends,
            seed: self.network.random.next())
        let host = self.network.addHost(name)
        user.note = { self.note($0) }
        self.users.append(user)
        self.userHosts.append(host)
        host.start { user }
    }

    /// Makes Redis lose all data after this many simulated seconds.
    public func loseData(after seconds: Int64) {
        self.network.schedule(after: seconds * Self.second) {
            for redis in self.redis { _ = redis.execute([Array("FLUSHALL".utf8)], at: 0) }
        }
    }

    /// The machines between which links may fail, users included.
    var randomHost: SimulatedHost {
        let hosts = self.nodeHosts + self.redisHosts + self.userHosts.prefix(3)
        return hosts[self.network.random.next(below: hosts.count)]
    }

    func note(_ text: String) {
        self.history.append("\(self.network.now / 1_000_000) ms: \(text)")
    }

    // MARK: The judge

    private var violation: String? { self.users.lazy.compactMap(\.violation).first }

    /// The last message that a user of the conversation has.
    private func last(of conversation: String) -> Int {
        self.users.filter { $0.conversation == conversation }.map(\.messages.count).max() ?? 0
    }

    private var isSettled: Bool {
        self.users.allSatisfy {
            $0.isSettled && $0.messages.count == self.last(of: $0.conversation)
        }
    }

    /// A difference between the users, or a lost or doubled message; nil if there is none.
    private var disagreement: String? {
        var histories: [String: [SimulatedUser.UsersMessage]] = [:]
        for user in self.users {
            guard user.isSettled else { return user.unansweredText }
            let history = histories[user.conversation] ?? user.messages
            histories[user.conversation] = history
            guard user.messages == history else {
                return "\(user.name) has \(user.messages.count) messages and not the "
                    + "\(history.count) of another user of \(user.conversation), or other ones"
            }
            for (id, content) in user.acknowledged.sorted(by: { $0.key < $1.key }) {
                let count = history.filter { $0.localID == id && $0.content == content }.count
                guard count == 1 else {
                    return "the acknowledged message \(id) is there \(count) times"
                }
            }
            guard Set(history.map(\.localID)).count == history.count else {
                return "\(user.conversation) has a message twice"
            }
        }
        return nil
    }
}
