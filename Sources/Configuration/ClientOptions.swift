public import RedisClient

/// The options of `confab token`.
public struct TokenOptions: Sendable, Equatable {
    public enum Key: Sendable, Equatable {
        case secretFile(String)
        /// The secret that a server created next to this database.
        case databaseSecret(String)
    }

    public enum Conversations: Sendable, Equatable {
        case all
        case listed([String])
    }

    public var subject = ""
    public var username: String?
    public var tenant: String?
    public var agent: String?
    /// Nil: the token has no claim about conversations.
    public var conversations: Conversations?
    public var isAdmin = false
    public var lifetime: Duration = .seconds(3600)
    public var audience: String?
    public var issuer: String?
    public var key = Key.secretFile("")

    init() {}
}

/// The options of `confab chat`.
public struct ChatOptions: Sendable, Equatable {
    /// A protocol of the chat client.
    public enum ChatProtocol: String, Sendable, CaseIterable {
        case conversations
        case pets
        case chats
        case rooms
        case agents
    }

    /// ws, wss, http or https, and a host.
    public var url = ""
    /// Nil: the protocol of the URL's path, else Conversations.
    public var dialect: ChatProtocol?
    /// Nil: the conversation in the URL.
    public var conversation: String?
    /// The name of an anonymous user.
    public var name: String?
    public var token: String?
    public var tokenFile: String?
    /// A PEM file with the certificate authorities for a wss server; nil for those of the system.
    public var authorities: String?
    /// Plain lines, without colour and without cursor movement.
    public var isPlain = false

    init() {}
}

/// The options of `confab bench`.
public struct BenchOptions: Sendable, Equatable {
    public enum BenchScenario: String, Sendable, CaseIterable {
        case broadcast
        case groups
        case idle
        case connect
        case send
    }

    /// A protocol (`confab` is Conversations), or raw frames, for comparison with a plain server.
    public enum BenchAdapter: String, Sendable, CaseIterable {
        case confab, pets, chats, rooms, agents
        /// Rooms, where members that only receive use long polling.
        case roomsPolling = "rooms-polling"
        /// All protocols, one member after the other.
        case mixed
        case raw
    }

    public var scenario = BenchScenario.broadcast
    /// ws, wss, http or https, and a host, for each server; at least one.
    public var urls: [String] = []
    public var connections = 100
    public var groups = 10
    public var publishers = 1
    /// Messages per second of all publishers; 0: as many as `window` allows.
    public var rate = 50
    /// With a rate of 0: messages in flight, of all publishers.
    public var window = 64
    public var duration: Duration = .seconds(10)
    /// Before the measurement.
    public var warmup: Duration = .seconds(2)
    /// The pause after the last connect.
    public var settle: Duration = .seconds(3)
    public var messageBytes = 128
    /// Open handshakes at any time.
    public var concurrency = 64
    /// A PEM file with the certificate authorities for a wss server; nil for those of the system.
    public var authorities: String?
    public var secretFile: String?
    /// Processes whose CPU time and memory are measured; no duplicates.
    public var serverProcesses: [Int] = []
    /// The Redis server whose commands are counted.
    public var redis: RedisURL?
    public var adapter = BenchAdapter.confab
    public var output = OutputFormat.text

    init() {}
}

/// The format of results.
public enum OutputFormat: String, Sendable, CaseIterable {
    case text
    case json
}

/// A shell with a completion script.
public enum Shell: String, Sendable, CaseIterable {
    case bash
    case zsh
    case fish
}
