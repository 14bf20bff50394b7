import ChatModel

/// How far a feed has got in its conversation's changes and messages.
///
/// The owner numbers changes (revisions) and messages (sequences) separately, because an edit is a
/// change and no message. The marks lie like this:
///
///     changes    1 ... amendedThrough ... revision ... repairedThrough
///                      newest edit        everything   edits, from pages of the store
///                      delivered          delivered    that were ahead of the owner
///
///     messages   1 ... loggedFrom ... queuedFrom ... deliveredThrough
///                      in the         queued in      newest message
///                      delivery log   this batch     delivered
///
/// `repairedThrough` is usually behind `revision`: only a repair moves it, and then it can be
/// ahead. A mark moves back only in `rollBack`, when the store has lost changes.
struct Watermarks: Sendable, Equatable {
    // The fields that every message uses come first; see `Feed.hotBytes`.

    /// The newest change delivered.
    var revision: Revision = 0
    /// The newest message delivered.
    var deliveredThrough: SequenceNumber = 0
    /// The first message queued in the batch of deliveries `queuedInBatch`.
    private var queuedFrom: SequenceNumber = 0
    private var queuedInBatch: UInt64 = 0
    /// The newest edit or deletion delivered. A page that was read earlier could undo it.
    var amendedThrough: Revision = 0
    /// The change up to which a repair has delivered edits. It can be ahead of `revision`: a page
    /// contains messages only, and the other changes arrive from the owner.
    private(set) var repairedThrough: Revision = 0
    /// All delivered messages from here on are in the loop's `DeliveryLog`, including those from
    /// pages.
    private(set) var loggedFrom: SequenceNumber = .max

    static var hotBytes: Int { MemoryLayout<Self>.offset(of: \.amendedThrough)! }

    func isNext(_ revision: Revision) -> Bool { revision == self.revision + 1 }

    /// Starts at the point of the first answered join.
    mutating func open(at revision: Revision, head: SequenceNumber) {
        self.revision = revision
        // An older page comes from a store that lost data.
        self.amendedThrough = revision
        self.deliveredThrough = head
        self.loggedFrom = head + 1
    }

    /// Rolls back to a point of a history that was lost.
    mutating func rollBack(to revision: Revision, through sequence: SequenceNumber) {
        self.revision = min(self.revision, revision)
        self.repairedThrough = min(self.repairedThrough, revision)
        self.amendedThrough = self.repairedThrough
        self.deliveredThrough = min(self.deliveredThrough, sequence)
        self.loggedFrom = self.deliveredThrough + 1
    }

    // MARK: Repair

    mutating func startRepair() {
        self.repairedThrough = max(self.repairedThrough, self.revision)
    }

    /// Records that the edits up to a page's revision were delivered.
    mutating func recordRepaired(through revision: Revision) {
        self.repairedThrough = max(self.repairedThrough, revision)
        self.amendedThrough = max(self.amendedThrough, self.repairedThrough)
    }

    /// - Parameter attachedAtRevision: the revision after which the owner sends every change.
    mutating func endRepair(at attachedAtRevision: Revision) {
        self.revision = max(self.revision, attachedAtRevision)
    }

    // MARK: Batches of deliveries

    /// Records a message queued in a batch. Only the first one of a batch moves the mark.
    mutating func recordQueued(_ sequence: SequenceNumber, in batch: UInt64) {
        guard self.queuedInBatch != batch else { return }
        self.queuedInBatch = batch
        self.queuedFrom = sequence
    }

    /// The newest message delivered in batches before this one.
    func deliveredThrough(before batch: UInt64) -> SequenceNumber {
        self.queuedInBatch == batch ? self.queuedFrom - 1 : self.deliveredThrough
    }

    // MARK: Delivery log

    /// The delivered messages before this one are not in the delivery log.
    var unloggedBefore: SequenceNumber { min(self.loggedFrom, self.deliveredThrough + 1) }

    mutating func recordLogged(_ sequence: SequenceNumber) {
        self.loggedFrom = min(self.loggedFrom, sequence)
    }
}
