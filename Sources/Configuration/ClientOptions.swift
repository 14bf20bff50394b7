public import RedisClient

/// What `confab token` is to sign and with which secret.
public struct TokenOptions: Sendable, Equatable {
    public enum Key: Sendable, Equatable {
        case secretFile(String)
        /// The secret that a server made beside its database.
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
    /// Nil: the token says nothing of conversations.
    public var conversations: Conversations?
    public var isAdmin = false
    public var lifetime: Duration = .seconds(3600)
    public var audience: String?
    public var issuer: String?
    public var key = Key.secretFile("")

    init() {}
}

/// Where `confab chat` goes and as whom.
public struct ChatOptions: Sendable, Equatable {
    /// A protocol that the client speaks.
    public enum ChatProtocol: String, Sendable, CaseIterable {
        case conversations
        case pets
        case chats
        case rooms
        case agents
    }

    /// ws, wss, http or https, and a host.
    public var url = ""
    /// Nil: what the URL's path says, else Conversations.
    public var dialect: ChatProtocol?
    /// Nil: the one that the URL names.
    public var conversation: String?
    /// What to be called without a token.
    public var name: String?
    public var token: String?
    public var tokenFile: String?
    /// Authorities that a wss server's certificate may be signed by; the system's when it is nil.
    public var authorities: String?
    /// Lines only, without colour and without moving the cursor.
    public var isPlain = false

    init() {}
}

/// What load `confab bench` makes.
public struct BenchOptions: Sendable, Equatable {
    public enum BenchScenario: String, Sendable, CaseIterable {
        case broadcast
        case groups
        case idle
        case connect
        case send
    }

    /// What is spoken: one of Confab's protocols (`confab` is Conversations), or frames without one, for a plain server to compare with.
    public enum BenchAdapter: String, Sendable, CaseIterable {
        case confab, pets, chats, rooms, agents
        /// Rooms without WebSockets for those who only listen.
        case roomsPolling = "rooms-polling"
        /// Every protocol, one member after the other.
        case mixed
        case raw
    }

    public var scenario = BenchScenario.broadcast
    /// ws, wss, http or https, and a host, of each server; at least one.
    public var urls: [String] = []
    public var connections = 100
    public var groups = 10
    public var publishers = 1
    /// Messages a second, all publishers together; 0: as many as `window` lets.
    public var rate = 50
    /// With a rate of 0: messages on their way to somebody, all publishers together.
    public var window = 64
    public var duration: Duration = .seconds(10)
    /// Before the measuring starts.
    public var warmup: Duration = .seconds(2)
    /// How long the server is left alone after the last connection was made.
    public var settle: Duration = .seconds(3)
    public var messageBytes = 128
    /// Handshakes that are open at any time.
    public var concurrency = 64
    /// Authorities that a wss server's certificate may be signed by; the system's when it is nil.
    public var authorities: String?
    public var secretFile: String?
    /// Whose CPU and memory are measured, too; each once.
    public var serverProcesses: [Int] = []
    /// Whose commands are counted.
    public var redis: RedisURL?
    public var adapter = BenchAdapter.confab
    public var output = OutputFormat.text

    init() {}
}

/// For whom results are written.
public enum OutputFormat: String, Sendable, CaseIterable {
    case text
    case json
}

/// A shell that completion is written for.
public enum Shell: String, Sendable, CaseIterable {
    case bash
    case zsh
    case fish
}
