public import ConfabClient
public import EventLoop

/// The options of `confab chat`.
public struct ChatTerminalOptions: Sendable {
    /// The server, optionally with a conversation: `ws://host:8080/conversations/general/`
    public var url: String
    /// All protocols. The first is the default.
    public let dialects: [ChatDialect]
    /// Nil: the protocol of the URL's path, or else the default.
    public var dialect: ChatDialect?
    /// Nil: the conversation in the URL.
    public var conversation: String?
    /// The name of an anonymous user, in protocols that allow one. If it is set, `CONFAB_TOKEN` is
    /// not used.
    public var name: String?
    public var token: String?
    /// A file whose first line is the token; `-` is standard input.
    public var tokenFile: String?
    /// Plain lines: no colour, no cursor movement.
    public var isPlain = false
    /// A PEM file with the certificate authorities for a `wss` server; nil for those of the system.
    public var authorities: String?
    /// The environment: `CONFAB_TOKEN`, `NO_COLOR`, `TERM`.
    public var environment: [String: String] = [:]
    /// Descriptors for input lines, for messages, and for everything else.
    public var input: Int32 = 0
    public var output: Int32 = 1
    public var errors: Int32 = 2
    /// Signals that end the chat; empty where the process belongs to others, as in tests.
    public var terminationSignals: Set<ProcessSignal> = [.interrupt, .terminate, .hangUp]

    public init(url: String, dialects: [ChatDialect]) {
        self.url = url
        self.dialects = dialects
    }
}

/// Why a chat cannot start.
enum ChatTerminalError: Error, Equatable, CustomStringConvertible {
    case confab(ConfabError)
    /// The protocol, and those that support it.
    case nameNotSupported(ChatDialect, by: [ChatDialect])
    case noToken
    case tokenFile(path: String, reason: String)
    case system(String)

    var description: String {
        switch self {
        case .confab(let error): error.description
        case .nameNotSupported(let dialect, by: let others):
            """
            --name: the \(dialect.title) protocol does not support it; use it with \
            \(others.map(\.name).joined(separator: " or ")).
            """
        case .noToken:
            """
            A token is required: use --token-file, --token or CONFAB_TOKEN; confab token creates \
            one.
            """
        case .tokenFile(let path, let reason): "--token-file: \(path): \(reason)."
        case .system(let message): message
        }
    }
}
