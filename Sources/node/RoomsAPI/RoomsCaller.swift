internal import Bytes
internal import ChatModel
internal import DialectKit
internal import EventLoop
internal import Gateway
internal import HTTPWire
internal import Identity

/// The client of a request: the bearer of a token, or an anonymous user who gives only a name, if
/// that is allowed.
struct RoomsCaller {
    /// Nil for a client without a token.
    let identity: Identity?
    private let isLoopback: Bool
    /// To whose limits the request counts.
    let limitKey: LimitKey
    /// The most bytes of a page of messages, of at least one.
    let pageBytes: Int

    init(_ request: HTTPRequest) throws(HTTPError) {
        self.isLoopback = request.isLoopback
        self.limitKey = request.limitKey
        self.pageBytes = request.limits.pageBytes
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

    /// Whether the token allows its bearer to enter the conversation even if not a member.
    func grants(_ id: ByteString) -> Bool { self.identity?.grants(id) ?? false }

    /// Whether the token lists the conversation by its id.
    private func explicitlyGrants(_ id: ByteString) -> Bool {
        if case .listed(let ids)? = self.identity?.grants { ids.contains(id) } else { false }
    }

    /// Whether the token lets a user enter the conversation after this error of its send. If there
    /// is none, entering it creates it.
    func mayEnter(_ id: ByteString, after error: ChatError) -> Bool {
        switch error {
        case .notAMember, .noSuchConversation: self.grants(id)
        default: false
        }
    }

    /// Whether a guest token proves that its bearer created the conversation.
    func isCreator(of id: ByteString) -> Bool {
        self.identity?.guest == .creator && self.explicitlyGrants(id)
    }

    /// Throws if an anonymous user may not act as the creator.
    ///
    /// The creator's name is public. So it authorizes an anonymous user only if the listener is
    /// reachable only from this machine. From elsewhere the creator must send the token that it
    /// received.
    func checkMayBeCreator(of id: ByteString) throws(HTTPError) {
        let isAnonymous = self.identity.map { $0.guest != nil } ?? true
        guard isAnonymous, !self.isLoopback, !self.isCreator(of: id) else { return }
        throw HTTPError(
            .forbidden,
            "user_id: to name the creator is not enough here; "
                + "send the token that came when the conversation was created"
        )
    }

    /// The principal of a request that needs a token; the token of a guest suffices.
    func provenPrincipal() throws(HTTPError) -> Principal {
        guard let bearer = self.bearer else {
            throw Self.unauthorized("is needed for this; `create` and `join` return one")
        }
        return bearer
    }

    /// The principal of a read request. No member has this empty name.
    var viewer: Principal {
        self.bearer
            ?? Principal(person: Person(id: UserID(anonymous: ""), name: ""), isAdmin: false)
    }

    /// The principal of a request whose body names a user.
    ///
    /// - Parameters:
    ///   - username: the display name; nil for the user's id.
    ///   - isEntering: whether the answer has a guest token. Then a user without a token is a guest
    ///     with a key of its own, which the token proves, and a guest may change its name.
    ///     Otherwise a user without a token only claims the name of a guest.
    func principal(_ user: String?, username: String? = nil, isEntering: Bool = false)
        throws(HTTPError) -> Principal
    {
        if let bearer = self.bearer {
            guard user.map({ ByteString($0) == bearer.person.id.name }) ?? true else {
                throw HTTPError(.forbidden, "user_id: must be the token's own, or left out")
            }
            guard isEntering, bearer.person.id.isAnonymous, let username else { return bearer }
            return Principal(
                person: Person(id: bearer.person.id, name: ByteString(username)), isAdmin: false)
        }
        guard let user else { throw .badRequest("user_id: is missing") }
        let name = ByteString(user)
        let id =
            isEntering
            ? UserID(guest: name, key: GuestKey.randomKey(), provenBy: .token)
            : UserID(anonymous: name)
        return Principal(
            person: Person(id: id, name: ByteString(username ?? user)), isAdmin: false)
    }

    private var bearer: Principal? {
        self.identity.map { Principal(person: Person(of: $0), isAdmin: $0.isAdmin) }
    }
}
