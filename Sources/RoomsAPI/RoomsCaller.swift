internal import Bytes
internal import ChatModel
internal import DialectKit
internal import Gateway
internal import HTTPWire
internal import Identity

/// Who asks: the bearer of a token, or somebody who only says a name, where that is allowed.
struct RoomsCaller {
    /// Nil for whoever came without a token.
    let identity: Identity?
    private let isLoopback: Bool

    init(_ request: HTTPRequest) throws(HTTPError) {
        self.isLoopback = request.isLoopback
        switch request.credentials {
        case .bearer(let identity):
            self.identity = identity
        case .invalid(let sentence):
            throw Self.unauthorized(sentence)
        case .none:
            guard request.allowsAnonymous else { throw Self.unauthorized("a token is required") }
            self.identity = nil
        }
    }

    private static func unauthorized(_ sentence: String) -> HTTPError {
        HTTPError(
            .unauthorized, "token: \(sentence)", fields: [HTTPField("WWW-Authenticate", "Bearer")])
    }

    var tenant: ByteString { self.identity?.tenant ?? Identity.defaultTenant }

    /// Whether the token lets its bearer enter the conversation, member or not.
    func grants(_ id: ByteString) -> Bool { self.identity?.grants(id) ?? false }

    /// Whether the token names the conversation: that makes it where there is none, as in every protocol. `*` does not, or every
    /// mistyped link would make one.
    func explicitlyGrants(_ id: ByteString) -> Bool {
        if case .listed(let ids)? = self.identity?.grants { ids.contains(id) } else { false }
    }

    /// Whether a guest token says that its bearer has made the conversation.
    func isCreator(of id: ByteString) -> Bool {
        self.identity?.guest == .creator && self.explicitlyGrants(id)
    }

    /// Everybody can read who has made a conversation. So naming that user is enough only where nobody but this machine's own
    /// users can; from elsewhere an anonymous creator has to bring the token that it was given.
    func checkMayEnd(_ id: ByteString) throws(HTTPError) {
        let isAnonymous = self.identity.map { $0.guest != nil } ?? true
        guard isAnonymous, !self.isLoopback, !self.isCreator(of: id) else { return }
        throw HTTPError(
            .forbidden,
            "user_id: to name the creator is not enough here; send the token that came when the conversation was created"
        )
    }

    /// Who only looks. No member is called so: names have a letter.
    var viewer: Principal {
        self.bearer
            ?? Principal(person: Person(id: UserID(anonymous: ""), name: ""), isAdmin: false)
    }

    /// Who acts, where the body names a user.
    ///
    /// - Parameter username: nil: the user's id.
    func principal(_ user: String?, username: String? = nil) throws(HTTPError) -> Principal {
        if let bearer = self.bearer {
            guard user.map({ ByteString($0) == bearer.person.id.name }) ?? true else {
                throw HTTPError(.forbidden, "user_id: must be the token's own, or left out")
            }
            return bearer
        }
        guard let user else { throw .badRequest("user_id: is missing") }
        return Principal(
            person: Person(
                id: UserID(anonymous: ByteString(user)), name: ByteString(username ?? user)),
            isAdmin: false)
    }

    private var bearer: Principal? {
        self.identity.map { Principal(person: Person(of: $0), isAdmin: $0.isAdmin) }
    }
}
