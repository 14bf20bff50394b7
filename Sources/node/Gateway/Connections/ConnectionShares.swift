import ChatModel
import Configuration

/// The parts of `--limit connections` that some clients may take together.
///
/// Below `Limits.fewConnections` there are no parts.
struct ConnectionShares: Equatable {
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
        guard all >= Limits.fewConnections else {
            self.addressWithoutToken = self.address
            self.unidentified = .max
            self.notable = all
            return
        }
        self.addressWithoutToken = min(self.address, all / 10)
        self.unidentified = all / 10
        self.notable = all / 4
    }

    /// The part of one of the node's loops in `unidentified`.
    func unidentified(loops: Int) -> Int {
        self.unidentified / loops + (self.unidentified % loops == 0 ? 0 : 1)
    }
}
