public import Bytes

/// The identity and the permissions of a token's bearer.
///
/// All texts comply with `IdentityRule`, so they can be used in keys, URLs and frames without
/// escaping.
public struct Identity: Sendable, Equatable {
    /// The claim `sub`.
    public var user: ByteString
    /// The claim `username`, otherwise `name`, otherwise the user.
    public var displayName: ByteString
    /// The claim `tenant_id`, otherwise `default`.
    public var tenant: ByteString
    /// The claim `agent_id`, otherwise the user. For a guest, the prefixed id that other users see.
    public var agent: ByteString
    /// The claims `conversations` and `channel_id` together.
    public var grants: Grants
    /// The claim `admin`.
    public var isAdmin: Bool
    /// The role in a guest token. Nil for a token from the operator's own issuers.
    public var guest: GuestRole?
    /// The guest's key in a guest token: it distinguishes guests of one name. Nil for other tokens.
    public var guestKey: ByteString?
    /// The time from which the token is rejected, including the leeway. Nil for a token that does
    /// not expire.
    public var expiry: Timestamp?

    public init(
        user: ByteString, displayName: ByteString? = nil,
        tenant: ByteString = Identity.defaultTenant, agent: ByteString? = nil,
        grants: Grants = .none, isAdmin: Bool = false, guest: GuestRole? = nil,
        guestKey: ByteString? = nil, expiry: Timestamp? = nil
    ) {
        self.user = user
        self.displayName = displayName ?? user
        self.tenant = tenant
        self.agent = agent ?? user
        self.grants = grants
        self.isAdmin = isAdmin
        self.guest = guest
        self.guestKey = guestKey
        self.expiry = expiry
    }

    /// The tenant of a token without a `tenant_id`.
    public static let defaultTenant: ByteString = "default"

    /// Whether the token permits the conversation. A user can also be a member for other reasons.
    public func grants(_ conversation: ByteString) -> Bool {
        self.grants.include(conversation)
    }
}

/// The conversations that a token permits.
public enum Grants: Sendable, Equatable {
    /// `"*"`: every conversation of the tenant.
    case all
    /// Only these conversations.
    case listed(Set<ByteString>)

    public static let none = Grants.listed([])

    public func include(_ conversation: ByteString) -> Bool {
        switch self {
        case .all: true
        case .listed(let conversations): conversations.contains(conversation)
        }
    }

    /// The permissions of both together.
    func union(_ other: Grants) -> Grants {
        switch (self, other) {
        case (.listed(let left), .listed(let right)):
            .listed(right.isEmpty ? left : left.union(right))
        default: .all
        }
    }
}
