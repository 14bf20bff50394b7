/// A protocol of `confab chat`: its names, its URLs, and its clients.
///
/// A value and not an enum, so that any module can define one.
public struct ChatDialect: Sendable, Equatable, CustomStringConvertible {
    /// The part of a URL's path that belongs to the protocol.
    public struct PathMatch: Sendable, Equatable {
        /// How many segments come before it, because the server is mounted below a path.
        let mountCount: Int
        /// Nil if the path does not name one.
        let conversation: String?

        public init(mountCount: Int, conversation: String? = nil) {
            self.mountCount = mountCount
            self.conversation = conversation
        }
    }

    /// The name in `--dialect`.
    public let name: String
    /// The name in messages to the user.
    public let title: String
    /// Whether the protocol requires a token.
    public let requiresToken: Bool
    /// Whether an anonymous user may choose a name.
    public let acceptsNames: Bool
    let needsConversation: Bool
    /// The error that asks for a missing conversation.
    let missingConversation: String
    /// Nil if the segments of a path do not contain one of the protocol.
    let match: @Sendable (_ path: [String]) -> PathMatch?
    /// The id of the user's own messages; nil where only the server knows it.
    let ownUser: @Sendable (ClientContext) -> String?
    let client: @Sendable (ClientContext) -> any ClientDialect

    /// - Parameters:
    ///   - missingConversation: the error that asks for a missing conversation, if the usual one
    ///     does not help.
    ///   - match: finds the protocol's part in the segments of a path.
    ///   - ownUser: returns the id of the user's own messages; nil where only the server knows it.
    public init(
        _ name: String, title: String, requiresToken: Bool = false, acceptsNames: Bool = false,
        needsConversation: Bool = true, missingConversation: String? = nil,
        match: @escaping @Sendable (_ path: [String]) -> PathMatch?,
        ownUser: @escaping @Sendable (ClientContext) -> String? = { _ in nil },
        client: @escaping @Sendable (ClientContext) -> any ClientDialect
    ) {
        self.name = name
        self.title = title
        self.requiresToken = requiresToken
        self.acceptsNames = acceptsNames
        self.needsConversation = needsConversation
        self.missingConversation =
            missingConversation
            ?? "The \(title) protocol needs a conversation: give one with --conversation."
        self.match = match
        self.ownUser = ownUser
        self.client = client
    }

    public var description: String { self.name }

    public static func == (left: ChatDialect, right: ChatDialect) -> Bool {
        left.name == right.name
    }
}

/// The server, the conversation and the user of a client.
public struct ClientContext: Sendable {
    public let location: ChatURL
    /// Whether the path of the URL is one of the protocol.
    public let hasOwnPath: Bool
    /// Nil where the protocol does not need one.
    public let conversation: String?
    public let token: String?
    /// The token's claims, if it can be read.
    public let claims: UnverifiedTokenClaims?
    /// The name of an anonymous user.
    public let name: String?
    /// A unique id for an anonymous user.
    public let guest: String
}

extension ChatDialect {
    /// The protocols of this module; the first is the default.
    public static let all: [ChatDialect] = [.conversations, .pets, .chats, .rooms, .agents]
}
