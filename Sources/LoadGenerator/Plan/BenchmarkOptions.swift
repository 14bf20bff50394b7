public import RedisClient

/// What load to make, where, and what to measure.
public struct BenchmarkOptions: Sendable, Equatable {
    public enum Scenario: String, Sendable, CaseIterable {
        /// One conversation with all connections.
        case broadcast
        /// Many conversations side by side.
        case groups
        /// Connections that enter and are quiet: memory, and what quiet costs.
        case idle
        /// What it costs to enter.
        case connect
        /// As many conversations as connections, in each one sender, who sends again when answered.
        case send
    }

    public enum Adapter: String, Sendable, CaseIterable {
        /// The Conversations protocol, entered with a token.
        case confab
        /// Another of Confab's protocols; Rooms over WebSocket alone.
        case pets, chats, rooms, agents
        /// Rooms, where those who only listen have no WebSocket, and poll.
        case roomsPolling = "rooms-polling"
        /// All five, one member after the other; who publishes speaks Conversations.
        case mixed
        /// Frames as they are, to a server that gives each to all connections of the path `/g/<group>`: the floor.
        case raw
    }

    public enum Output: String, Sendable, CaseIterable {
        case text
        case json
    }

    public var scenario: Scenario
    /// ws, wss, http or https; a path is what the server is mounted under. Of several each gets its part of every conversation.
    public var urls: [String]
    public var connections = 100
    /// Conversations that the connections spread over. `broadcast` has one, `send` one for each connection, whatever this says.
    public var groups = 10
    /// Connections of each conversation that send.
    public var publishers = 1
    /// Messages a second, all publishers together; 0: as fast as `window` lets.
    public var rate = 50
    /// With a rate of 0: messages that are on their way to somebody at any time, all publishers together.
    public var window = 64
    /// How long is measured.
    public var duration: Duration = .seconds(10)
    /// How long messages are sent before that.
    public var warmup: Duration = .seconds(2)
    /// How long the server is left alone, at least, after the last connection was made.
    public var settle: Duration = .seconds(3)
    /// For so long nothing must have arrived before what is missing counts as lost.
    public var lossTimeout: Duration = .seconds(5)
    /// Of a message's content.
    public var messageBytes = 128
    /// Handshakes that are open at any time.
    public var concurrency = 64
    /// The server's HS256 secret, to sign tokens with.
    public var secretFile: String?
    /// Processes on this machine whose CPU time and memory are measured; none may descend from another.
    public var serverProcesses: [Int32] = []
    /// One server without TLS, whose commands are counted.
    public var redis: RedisURL?
    /// A PEM file with the authorities that a `wss` server's certificate may be signed by; the system's when it is nil.
    public var authorities: String?
    public var adapter = Adapter.confab
    public var output = Output.text

    public init(_ scenario: Scenario, urls: [String]) {
        self.scenario = scenario
        self.urls = urls
    }
}
