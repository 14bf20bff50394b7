public import Bytes

/// The claims of a token that Confab uses (RFC 7519 section 4.1, and its own).
///
/// The same type is used to read and to create tokens. The texts are unchecked; `identity`
/// validates them.
public struct Claims: Sendable, Equatable {
    /// `sub`
    public var subject: String
    /// `username`, else `name`
    public var username: String?
    /// `tenant_id`
    public var tenant: String?
    /// `agent_id`
    public var agent: String?
    /// `conversations` and `channel_id`
    public var grants: Grants
    /// `admin`
    public var isAdmin: Bool
    /// `exp`: the token is valid before this time.
    public var expiry: Timestamp?
    /// `nbf`: the token is valid from this time on.
    public var notBefore: Timestamp?
    /// `aud`. Nil if the token has none.
    public var audience: [String]?
    /// `iss`
    public var issuer: String?
    /// `guest`. Set only for guest tokens, because other issuers may use a claim of this name
    /// differently.
    var guest: GuestRole?
    /// `guest_key`. Set only for guest tokens.
    var guestKey: String?
    static let badGuestKey = TokenError.badClaim(
        name: "guest_key", mustBe: "eight characters of base64url")

    public init(
        subject: String, username: String? = nil, tenant: String? = nil, agent: String? = nil,
        grants: Grants = .none,
        isAdmin: Bool = false,
        expiry: Timestamp? = nil, notBefore: Timestamp? = nil, audience: [String]? = nil,
        issuer: String? = nil
    ) {
        self.subject = subject
        self.username = username
        self.tenant = tenant
        self.agent = agent
        self.grants = grants
        self.isAdmin = isAdmin
        self.expiry = expiry
        self.notBefore = notBefore
        self.audience = audience
        self.issuer = issuer
    }

    /// Validates the claims and returns the identity of the bearer.
    ///
    /// Throws `TokenError.badClaim` if a text breaks its rule. The same applies to a user or an
    /// agent whose id looks like that of a guest.
    public func identity() throws(TokenError) -> Identity {
        let user = try Self.checked(self.subject, .name, "sub")
        var identity = Identity(
            user: user, grants: self.grants, isAdmin: self.isAdmin, expiry: self.expiry)
        if let username = self.username {
            identity.displayName = try Self.checked(username, .name, "username")
        }
        if let tenant = self.tenant {
            identity.tenant = try Self.checked(tenant, .tenant, "tenant_id")
        }
        if let agent = self.agent { identity.agent = try Self.checked(agent, .name, "agent_id") }
        if let guest = self.guest {
            identity.guest = guest
            identity.guestKey = try self.guestKey.map { key throws(TokenError) in
                guard key.utf8.count == 8, Base64URL.decode(key.utf8)?.count == 6 else {
                    throw Self.badGuestKey
                }
                return ByteString(key)
            }
            // Replaces the agent of the token: a guest must not receive messages that are addressed
            // to that agent.
            identity.agent = ByteString("\(IdentityRule.guestPrefix)\(user)")
        } else {
            try Self.checkNotGuest(user, "sub")
            try Self.checkNotGuest(identity.agent, "agent_id")
        }
        if case .listed(let conversations) = self.grants {
            for conversation in conversations {
                _ = try Self.checked(conversation.string, .conversation, "conversations")
            }
        }
        return identity
    }

    private static func checkNotGuest(_ text: ByteString, _ name: String) throws(TokenError) {
        guard !text.string.utf8.starts(with: IdentityRule.guestPrefix.utf8) else {
            throw .badClaim(
                name: name,
                mustBe:
                    "an id that does not start with \(IdentityRule.guestPrefix), "
                    + "as the ids of guests do"
            )
        }
    }

    private static func checked(_ text: String, _ rule: IdentityRule, _ name: String)
        throws(TokenError) -> ByteString
    {
        guard rule.allows(text) else { throw .badClaim(name: name, mustBe: rule.text) }
        return ByteString(text)
    }
}
