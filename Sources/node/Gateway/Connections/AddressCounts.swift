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

        mutating func add(hasToken: Bool, _ shares: ConnectionShares) -> Admission {
            guard self.total < shares.address,
                hasToken || self.withoutToken < shares.addressWithoutToken
            else { return .refused }
            self.total += 1
            if !hasToken { self.withoutToken += 1 }
            guard self.total > shares.notable, !self.isReported else { return .admitted }
            self.isReported = true
            return .notable(connections: self.total)
        }

        mutating func remove(hasToken: Bool, _ shares: ConnectionShares) {
            self.total -= 1
            if !hasToken { self.withoutToken -= 1 }
            if self.total <= shares.notable / 2 { self.isReported = false }
        }
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
        self.counts[key, default: Count()].add(hasToken: hasToken, shares)
    }

    /// A connection without a token has shown one.
    mutating func showToken(_ key: IPAddress) { self.counts[key]?.withoutToken -= 1 }

    mutating func remove(_ key: IPAddress, hasToken: Bool, _ shares: ConnectionShares) {
        guard let index = self.counts.index(forKey: key) else { return }
        self.counts.values[index].remove(hasToken: hasToken, shares)
        if self.counts.values[index].total == 0 { self.counts.remove(at: index) }
    }

    subscript(address: IPAddress) -> Count { self.counts[Self.key(of: address)] ?? Count() }

    /// The address with the most connections; nil without any.
    var largest: (address: IPAddress, connections: Int)? {
        self.counts.max { $0.value.total < $1.value.total }.map { ($0.key, $0.value.total) }
    }
}
