import Bytes
import ChatModel
import Configuration
import Synchronization

/// The connections of each address, counted over all loops of the node.
final class AddressLedger: Sendable {
    private let counts = Mutex(AddressCounts())
    private let limits: Mutex<ConnectionShares>
    private let report: @Sendable (IPAddress, Int) -> Void

    /// - Parameter report: learns that an address has passed `ConnectionShares.notable`.
    init(_ limits: Limits, report: @escaping @Sendable (_ address: IPAddress, _ count: Int) -> Void)
    {
        self.limits = Mutex(ConnectionShares(limits))
        self.report = report
    }

    func reload(_ limits: Limits) { self.limits.withLock { $0 = ConnectionShares(limits) } }

    var shares: ConnectionShares { self.limits.withLock { $0 } }

    /// The address with the most connections; nil without any.
    var largest: (address: IPAddress, connections: Int)? { self.counts.withLock { $0.largest } }

    /// Counts a connection, for as long as the result exists. Nil if the address has all that it
    /// may have.
    func admit(_ address: IPAddress, hasToken: Bool) -> AddressShare? {
        let (key, shares) = (AddressCounts.key(of: address), self.shares)
        switch self.counts.withLock({ $0.add(key, hasToken: hasToken, shares) }) {
        case .refused: return nil
        case .admitted: break
        case .notable(let count): self.report(key, count)
        }
        return AddressShare(key, hasToken: hasToken, in: self)
    }

    fileprivate func showToken(_ key: IPAddress) { self.counts.withLock { $0.showToken(key) } }

    fileprivate func remove(_ key: IPAddress, hasToken: Bool) {
        let shares = self.shares
        self.counts.withLock { $0.remove(key, hasToken: hasToken, shares) }
    }
}

/// The place of one connection in the counts of its address. It moves with the connection, and its
/// end frees the place.
final class AddressShare: Sendable {
    private let ledger: AddressLedger
    private let key: IPAddress
    private let hasToken: Atomic<Bool>

    fileprivate init(_ key: IPAddress, hasToken: Bool, in ledger: AddressLedger) {
        self.key = key
        self.ledger = ledger
        self.hasToken = Atomic(hasToken)
    }

    deinit {
        self.ledger.remove(self.key, hasToken: self.hasToken.load(ordering: .relaxed))
    }

    func belongs(to address: IPAddress) -> Bool { self.key == AddressCounts.key(of: address) }

    /// The client has shown a token.
    func showToken() {
        if !self.hasToken.exchange(true, ordering: .relaxed) { self.ledger.showToken(self.key) }
    }
}
