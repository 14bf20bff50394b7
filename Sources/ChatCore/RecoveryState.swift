/// How far a conversation has come with what its store has forgotten.
struct RecoveryState: Sendable {
    /// Of the store's messages only the newest is read of which something is held.
    var readsNewestOnly = false
    /// Something is missing, and the loops have been asked who holds it.
    var isAwaitingHolders = false
    /// Until when it is waited for; 0 before anybody was asked.
    var holdersDeadline: Int64 = 0
    var counts = RecoveryCounts()
    /// What was written again says nothing to those who listen when it is stored, and perhaps they have not heard of it.
    var needsReattach = false
    /// How often the store's newest messages were not those that it was loaded with.
    var staleReads: UInt8 = 0
    static let staleReadLimit: UInt8 = 3

    /// The store has all that is held.
    mutating func reset() {
        let vain = self.staleReads
        self = RecoveryState()
        self.staleReads = vain
    }
}
