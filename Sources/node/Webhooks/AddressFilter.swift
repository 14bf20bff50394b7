public import Bytes

/// The addresses to which webhooks connect: public ones, and those that the operator lists.
///
/// The shell asks for each address right before it connects to exactly that address, so that a name
/// that resolves to something else a moment later gains nothing.
public struct AddressFilter: Sendable {
    /// Networks that are not public, and public forms that contain such an address (IANA's
    /// registries of special-purpose addresses). IPv4-mapped addresses are IPv4 here.
    private static let refused = [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        // Addresses that contain an IPv4 address: compatible, translated (NAT64), 6to4, Teredo.
        "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/23", "2002::/16",
        "100::/64", "2001:db8::/32", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10",
        "fec0::/10", "ff00::/8",
    ].compactMap { IPNetwork($0) }

    private let allowed: [IPNetwork]

    public init(allowing networks: [IPNetwork]) {
        self.allowed = networks
    }

    public func allows(_ address: IPAddress) -> Bool {
        self.allowed.contains { $0.contains(address) }
            || !Self.refused.contains { $0.contains(address) }
    }
}
