public import RedisClient

/// The options of `confab bench`: the load, the servers and the measurements.
public struct BenchOptions: Sendable, Equatable {
    public enum Scenario: String, Sendable, CaseIterable {
        /// One conversation with all connections.
        case broadcast
        /// Many conversations in parallel.
        case groups
        /// Idle connections: memory, and the CPU cost of keeping them.
        case idle
        /// The cost of connecting.
        case connect
        /// One conversation per connection; each publisher sends again when its message is
        /// answered.
        case send
    }

    public var scenario: Scenario
    /// ws, wss, http or https, and a host; at least one. A path is where the server is mounted.
    /// Several servers share every conversation equally.
    public var urls: [String]
    public var connections = 100
    /// Number of conversations. `broadcast` always has one, and `send` one per connection.
    public var groups = 10
    /// Publishers per conversation.
    public var publishers = 1
    /// Messages per second of all publishers; 0: as fast as `window` allows.
    public var rate = 50
    /// With a rate of 0: messages in flight at any time, of all publishers.
    public var window = 64
    /// How long to measure.
    public var duration: Duration = .seconds(10)
    /// How long to send before measuring.
    public var warmup: Duration = .seconds(2)
    /// The minimum pause after the last connect.
    public var settle: Duration = .seconds(3)
    /// How long nothing may arrive before the missing deliveries count as lost. It has no option on
    /// the command line.
    public var lossTimeout: Duration = .seconds(5)
    /// Size of a message's content.
    public var messageBytes = 128
    /// Open handshakes at any time.
    public var concurrency = 64
    /// The server's HS256 secret, which signs the tokens.
    public var secretFile: String?
    /// Local processes whose CPU time and memory are measured; no duplicates. None may be a
    /// descendant of another.
    public var serverProcesses: [Int32] = []
    /// A Redis server without TLS whose commands are counted.
    public var redis: RedisURL?
    /// A PEM file with the certificate authorities for a `wss` server; nil for those of the system.
    public var authorities: String?
    /// The name of an adapter; nil for the first of the program.
    public var adapter: String?
    public var output = OutputFormat.text

    public init(_ scenario: Scenario, urls: [String]) {
        self.scenario = scenario
        self.urls = urls
    }
}

extension BenchOptions {
    init(_ scanned: ScannedArguments, _ table: CommandTable) throws(UsageError) {
        self.init(.broadcast, urls: [])
        self.adapter = table.choices.adapters.first?.name
        try OptionBinding.apply(BenchTable.bindings(table.choices), from: scanned, to: &self)
        self.scenario = try Invocation.argument(
            0, in: scanned, of: table.bench, ValueParsing.choice(Scenario.self))
        for index in 1..<max(2, scanned.arguments.count) {
            self.urls.append(
                try Invocation.argument(index, in: scanned, of: table.bench, ServerURL.parse)
            )
        }
        if let twice = self.serverProcesses.enumerated().first(where: {
            self.serverProcesses[..<$0.offset].contains($0.element)
        }) {
            throw .conflict("bench: --server-pid \(twice.element) is given twice")
        }
        if [.groups, .idle, .connect].contains(self.scenario), self.groups > self.connections {
            throw .conflict(
                "bench: --groups \(self.groups) is more than --connections \(self.connections)")
        }
    }
}
