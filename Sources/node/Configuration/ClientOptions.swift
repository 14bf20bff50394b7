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
    /// ws, wss, http or https, and a host.
    public var url = ""
    /// One of `DialectChoices.chat`; nil for the protocol of the URL's path, or else the first.
    public var dialect: String?
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
