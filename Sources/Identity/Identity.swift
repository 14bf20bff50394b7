public import Bytes

/// Who a verified token says its bearer is, and what it lets them enter.
///
/// Every text in it has passed `IdentityRule`, so that it may stand in keys, URLs and frames as it is.
public struct Identity: Sendable, Equatable {
    /// The claim `sub`.
    public var user: ByteString
    /// The claim `username`, else `name`, else the user.
    public var displayName: ByteString
    /// The claim `tenant_id`, else `default`.
    public var tenant: ByteString
    /// The claim `agent_id`, else the user; of a guest its id as others are shown it.
    public var agent: ByteString
    /// The claims `conversations` and `channel_id` together.
    public var grants: Grants
    /// The claim `admin`.
    public var isAdmin: Bool
    /// What a guest token says; nil for a token that an issuer of the operator's has made.
    public var guest: GuestRole?
    /// The first moment at which the token is refused, the leeway included; nil for a token without an end.
    public var expiry: Timestamp?

    public init(
        user: ByteString, displayName: ByteString? = nil,
        tenant: ByteString = Identity.defaultTenant, agent: ByteString? = nil,
        grants: Grants = .none, isAdmin: Bool = false, guest: GuestRole? = nil,
        expiry: Timestamp? = nil
    ) {
        self.user = user
        self.displayName = displayName ?? user
        self.tenant = tenant
        self.agent = agent ?? user
        self.grants = grants
        self.isAdmin = isAdmin
        self.guest = guest
        self.expiry = expiry
    }

    /// The tenant of a token that names none.
    public static let defaultTenant: ByteString = "default"

    /// Whether the token lets its bearer enter the conversation; membership from elsewhere counts as well.
    public func grants(_ conversation: ByteString) -> Bool {
        self.grants.include(conversation)
    }
}

/// The conversations a token lists.
public enum Grants: Sendable, Equatable {
    /// `"*"`: every conversation of the tenant.
    case all
    /// These and no others.
    case listed(Set<ByteString>)

    public static let none = Grants.listed([])

    public func include(_ conversation: ByteString) -> Bool {
        switch self {
        case .all: true
        case .listed(let conversations): conversations.contains(conversation)
        }
    }

    /// What either of the two lets one enter.
    func union(_ other: Grants) -> Grants {
        switch (self, other) {
        case (.listed(let left), .listed(let right)):
            .listed(right.isEmpty ? left : left.union(right))
        default: .all
        }
    }
}
