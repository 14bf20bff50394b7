public import Bytes
public import ChatModel

/// The user in a request for an existing session, if the request has a token.
///
/// Most requests have none: the client authenticates in CONNECT, and from then on the unguessable
/// session id is sufficient. A request with the token of another user is refused.
public enum EngineRequestIdentity: Sendable, Equatable {
    case noToken
    /// The token is invalid, or several tokens belong to different users.
    case invalidToken
    /// The token may have expired: the session may have got a newer one since, and otherwise it
    /// ends by itself.
    case bearer(tenant: ByteString, user: UserID)

    /// Whether a request may use a session.
    ///
    /// - Parameters:
    ///   - owner: the owner of the session; nil if the session has none.
    ///   - hasInvalidToken: whether the session was opened with an invalid token. The session
    ///     reports that at CONNECT, to requests with the same token.
    func isAllowed(for owner: EngineSessionOwner?, hasInvalidToken: Bool) -> Bool {
        guard let owner else { return true }
        switch self {
        case .noToken: return true
        case .invalidToken: return hasInvalidToken
        case .bearer(let tenant, let user):
            return owner.user.map { $0 == user && tenant == owner.tenant } ?? true
        }
    }

    // MARK: Encoding for other nodes

    /// The identity without a space.
    var text: String {
        switch self {
        case .noToken: "-"
        case .invalidToken: "!"
        case .bearer(let tenant, let user):
            "\(Self.encoded(tenant)).\(Self.encoded(user.storageKey))"
        }
    }

    /// Nil for a text that no node of this version sends.
    init?(_ text: Substring) {
        switch text {
        case "-": self = .noToken
        case "!": self = .invalidToken
        default:
            let parts = text.split(separator: ".", omittingEmptySubsequences: false)
            guard parts.count == 2, let tenant = Self.decoded(parts[0]),
                let user = Self.decoded(parts[1])
            else { return nil }
            self = .bearer(tenant: tenant, user: UserID(storageKey: user))
        }
    }

    private static func encoded(_ text: ByteString) -> String {
        Base64URL.encode(text.withBytes { Array($0) })
    }

    private static func decoded(_ text: Substring) -> ByteString? {
        Base64URL.decode(text.utf8).flatMap { String(validating: $0, as: UTF8.self) }.map {
            ByteString($0)
        }
    }
}

/// The user of a session.
public struct EngineSessionOwner: Sendable, Equatable {
    public let tenant: ByteString
    /// Nil before CONNECT.
    public let user: UserID?

    public init(tenant: ByteString, user: UserID?) {
        self.tenant = tenant
        self.user = user
    }
}
