import Bytes

/// How many connections each address has.
///
/// The clients of one IPv6 network of 64 bits count as one address, because one machine has all of
/// its addresses.
struct AddressCounts {
    struct Count: Equatable {
        var total = 0
        var withoutToken = 0
        /// The address was reported, and has not fallen below half of that number since.
        var isReported = false
    }

    /// The outcome of a request for a connection.
    enum Admission: Equatable {
        case admitted
        /// Admitted, and the address has passed `ConnectionShares.notable`.
        case notable(connections: Int)
        case refused
    }

    private var counts: [IPAddress: Count] = [:]

    /// The address under which the connections of a client count.
    static func key(of address: IPAddress) -> IPAddress { address.network64 }

    mutating func add(_ key: IPAddress, hasToken: Bool, _ shares: ConnectionShares) -> Admission {
        var count = self.counts[key] ?? Count()
        guard count.total < shares.address,
            hasToken || count.withoutToken < shares.addressWithoutToken
        else { return .refused }
        count.total += 1
        if !hasToken { count.withoutToken += 1 }
        let isNotable = count.total > shares.notable && !count.isReported
        if isNotable { count.isReported = true }
        self.counts[key] = count
        return isNotable ? .notable(connections: count.total) : .admitted
    }

    /// A connection without a token has shown one.
    mutating func showToken(_ key: IPAddress) { self.counts[key]?.withoutToken -= 1 }

    mutating func remove(_ key: IPAddress, hasToken: Bool, _ shares: ConnectionShares) {
        guard var count = self.counts[key] else { return }
        count.total -= 1
        if !hasToken { count.withoutToken -= 1 }
        if count.total <= shares.notable / 2 { count.isReported = false }
        self.counts[key] = count.total > 0 ? count : nil
    }

    subscript(address: IPAddress) -> Count { self.counts[Self.key(of: address)] ?? Count() }

    /// The address with the most connections; nil without any.
    var largest: (address: IPAddress, connections: Int)? {
        self.counts.max { $0.value.total < $1.value.total }.map { ($0.key, $0.value.total) }
    }
}
