/// The state of a conversation's recovery from a store that lost changes.
struct RecoveryState: Sendable {
    /// Only the newest stored message is read that corresponds to a retained one.
    var readsNewestOnly = false
    /// Changes are missing, and the loops have been queried for them.
    var isAwaitingHolders = false
    /// The end of the wait for the loops' offers; 0 before the query.
    var holdersDeadline: Int64 = 0
    var counts = RecoveryCounts()
    /// Changes were written again that cause no event when they are stored, and subscribers may
    /// lack them.
    var needsReattach = false
    /// How often the store's newest messages were not those of the loaded state.
    var staleReads: UInt8 = 0
    static let staleReadLimit: UInt8 = 3

    /// Resets everything but `staleReads`: the store has every retained change.
    mutating func reset() {
        let staleReads = self.staleReads
        self = RecoveryState()
        self.staleReads = staleReads
    }
}
