import Synchronization

/// The input of one connection that is no whole frame, message or request yet, as far as it is
/// counted against the limit of its user and of the node.
final class UnfinishedInput {
    let user: UserRate
    private let ledger: RateLedger
    @exclusivity(unchecked) private var bytes = 0
    /// When the message of several frames that the client has begun must be complete, in monotonic
    /// milliseconds; 0 if there is none.
    @exclusivity(unchecked) var messageDeadline: Int64 = 0

    /// The bytes of each connection that do not count: those of an ordinary request or message.
    static let freeBytes = 16 << 10
    /// How many users can have as much as they may, before the node refuses others.
    static let usersPerNode = 64

    init(of user: UserRate, in ledger: RateLedger) {
        self.user = user
        self.ledger = ledger
    }

    deinit { self.set(0) }

    /// - Parameter count: with the bytes that are free.
    func set(_ count: Int) {
        let counted = max(0, count - Self.freeBytes)
        guard counted != self.bytes else { return }
        self.user.addUnfinished(counted - self.bytes)
        self.ledger.addUnfinished(counted - self.bytes)
        self.bytes = counted
    }

    /// Whether the connection may go on. One of each user may, whatever its size; others while less
    /// than the limit is unfinished on the rest.
    ///
    /// - Parameter limit: for each user; the node may have `usersPerNode` times as much.
    func mayGrow(_ limit: Int) -> Bool {
        self.bytes == 0
            || self.user.unfinishedBytes - self.bytes < limit
                && self.ledger.unfinishedBytes - self.bytes
                    < limit * Self.usersPerNode
    }
}
