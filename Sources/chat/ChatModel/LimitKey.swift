public import Bytes

/// The user whose requests count together against the limits of a node: a tenant's user, or all
/// clients of one address.
public enum LimitKey: Hashable, Sendable {
    case user(UserID, tenant: ByteString)
    /// Guests and clients without a user, because everybody can be any number of them. IPv6
    /// addresses count by their network of 64 bits, because one machine has all of its addresses.
    case address(IPAddress)

    /// - Parameter user: nil for a client without a user.
    public init(_ user: UserID?, tenant: ByteString, from address: IPAddress) {
        if let user, !user.isAnonymous {
            self = .user(user, tenant: tenant)
        } else {
            self = .address(address.network64)
        }
    }
}
