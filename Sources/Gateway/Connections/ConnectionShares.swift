import Configuration

/// The parts of `--limit connections` that some clients may take together.
///
/// Below 20 connections there are no parts: a tenth would be less than one browser needs.
struct ConnectionShares: Equatable {
    private static let smallLimit = 20

    /// What one address may take.
    let address: Int
    /// What one address may take without a token. A guest's token counts as none, because everybody
    /// gets one.
    let addressWithoutToken: Int
    /// What the sockets and sessions take that have shown no token and no user.
    let unidentified: Int
    /// More than this is unusual for one address. It may be a balancer's.
    let notable: Int

    init(_ limits: Limits) {
        let all = limits.connections
        self.address = limits.connectionsPerAddress
        guard all >= Self.smallLimit else {
            self.addressWithoutToken = self.address
            self.unidentified = .max
            self.notable = all
            return
        }
        self.addressWithoutToken = min(self.address, all / 10)
        self.unidentified = all / 10
        self.notable = all / 4
    }
}
