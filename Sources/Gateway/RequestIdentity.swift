import Bytes
import ChatModel

/// Who makes a request of a session that is there already, as far as the request itself says so.
///
/// Most say nothing: who comes in says who it is with CONNECT, and the session's id, which nobody can guess, speaks for it from then on.
/// One with a token that says something else is not the session's.
enum RequestIdentity: Equatable {
    case noToken
    /// There is a token, and it is bad; or there are several, of different users.
    case invalidToken
    /// By a token, whose time may be over: the session may have had a fresh one since, and if not it has its own end.
    case bearer(tenant: ByteString, user: UserID)

    /// Whom a session is.
    struct SessionIdentity {
        let tenant: ByteString
        /// Nil before it has said so.
        let user: UserID?
        /// It was opened with a bad token: it is told so when it connects, by requests that have the same token.
        let hasInvalidToken: Bool
    }

    func isAllowed(for owner: SessionIdentity) -> Bool {
        switch self {
        case .noToken: true
        case .invalidToken: owner.hasInvalidToken
        case .bearer(let tenant, let user):
            owner.user.map { $0 == user && tenant == owner.tenant } ?? true
        }
    }

    // MARK: Between nodes

    /// A word without a blank.
    var text: String {
        switch self {
        case .noToken: "-"
        case .invalidToken: "!"
        case .bearer(let tenant, let user):
            "\(Self.encoded(tenant)).\(Self.encoded(user.storageKey))"
        }
    }

    /// Nil for what no node of this version says.
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
