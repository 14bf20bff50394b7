/// How far a conversation has come with what its store has forgotten.
struct Restoring: Sendable {
    /// Of the store's messages only the newest is read of which something is held.
    var isNewestAlone = false
    /// Something is missing, and the loops have been asked who holds it.
    var isAwaiting = false
    /// Until when it is waited for; 0 before anybody was asked.
    var awaitedUntil: Int64 = 0
    var changes = RestoredChanges()
    /// What was written again says nothing to those who listen when it is stored, and perhaps they have not heard of it.
    var isUntold = false
    /// How often the store's newest messages were not those that it was loaded with.
    var vainRecalls: UInt8 = 0
    static let vainRecallLimit: UInt8 = 3

    /// The store has all that is held.
    mutating func end() {
        let vain = self.vainRecalls
        self = Restoring()
        self.vainRecalls = vain
    }
}
