public import EventLoop

/// Where `confab chat` goes, as whom, and how it looks.
public struct ChatTerminalOptions: Sendable {
    /// The server, and perhaps a conversation of its: `ws://host:8080/conversations/general/`
    public var url: String
    /// Nil: the one whose path the URL has, or else Conversations.
    public var dialect: ChatDialect?
    /// Nil: the one that the URL names.
    public var conversation: String?
    /// What to be called without a token, for protocols that take names. Without a name, the environment is asked for a token.
    public var name: String?
    public var token: String?
    /// A file whose first line is the token; `-` is standard input.
    public var tokenFile: String?
    /// Lines only: no colour, no moving cursor.
    public var isPlain = false
    /// A PEM file with the authorities that a `wss` server's certificate may be signed by; the system's when it is nil.
    public var authorities: String?
    /// The environment: `CONFAB_TOKEN`, `NO_COLOR`, `TERM`.
    public var environment: [String: String] = [:]
    /// Descriptors to read lines from, to write messages to, and to write all else to.
    public var input: Int32 = 0
    public var output: Int32 = 1
    public var errors: Int32 = 2
    /// What ends it; none where the process is not its own.
    public var terminationSignals: Set<ProcessSignal> = [.interrupt, .terminate, .hangUp]

    public init(url: String) {
        self.url = url
    }
}

/// Why a chat cannot begin.
enum ChatTerminalError: Error, Equatable, CustomStringConvertible {
    case url(WebSocketURLError)
    case noConversation(ChatDialect)
    /// Of the option, and of the URL.
    case twoConversations(String, String)
    case nameNotSupported(ChatDialect)
    case noToken
    case tokenFile(path: String, reason: String)
    case client(ClientError)
    case system(String)

    var description: String {
        switch self {
        case .url(let error): error.description
        case .noConversation(.conversations):
            "The URL names no conversation, as ws://127.0.0.1:8080/conversations/general/ does; or give one with --conversation."
        case .noConversation(let dialect):
            "The \(dialect.name) protocol needs a conversation: give one with --conversation."
        case .twoConversations(let option, let url):
            "--conversation says \(option), and the URL says \(url)."
        case .nameNotSupported(let dialect):
            "--name: nobody gives names in the \(dialect.name) protocol; it is for chats and rooms."
        case .noToken:
            "A token is needed: give it with --token-file, --token, or in CONFAB_TOKEN; confab token makes one."
        case .tokenFile(let path, let reason): "--token-file: \(path): \(reason)."
        case .client(let error): error.description
        case .system(let sentence): sentence
        }
    }
}
