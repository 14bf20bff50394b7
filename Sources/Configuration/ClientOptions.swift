/// What `confab token` is to sign and with which secret.
public struct TokenOptions: Sendable, Equatable {
    public enum Key: Sendable, Equatable {
        case secretFile(String)
        /// The secret that a server made beside its database.
        case besideDatabase(String)
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
    /// ws, wss, http or https, and a host.
    public var url = ""
    public var token: String?
    public var tokenFile: String?
    public var name: String?
    /// Lines only, without colour and without moving the cursor.
    public var isPlain = false

    init() {}
}

/// What load `confab bench` makes.
public struct BenchOptions: Sendable, Equatable {
    public enum Scenario: String, Sendable, CaseIterable {
        case broadcast
        case groups
        case idle
        case connect
        case send
    }

    /// What is spoken: Confab's own protocol, or frames without one, for a plain server to compare with.
    public enum Adapter: String, Sendable, CaseIterable {
        case confab
        case raw
    }

    public var scenario = Scenario.broadcast
    /// ws, wss, http or https, and a host.
    public var url = ""
    public var connections = 100
    public var groups = 10
    public var publishers = 1
    /// Messages a second, all publishers together; 0: as many as `window` lets.
    public var rate = 100
    /// Unanswered messages of one publisher.
    public var window = 16
    public var duration: Duration = .seconds(10)
    /// Before the measuring starts.
    public var warmup: Duration = .seconds(2)
    public var messageBytes = 200
    public var secretFile: String?
    /// Whose CPU and memory are measured, too.
    public var serverProcess: Int?
    public var adapter = Adapter.confab
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
