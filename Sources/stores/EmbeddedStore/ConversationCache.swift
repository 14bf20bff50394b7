import Bytes
import ChatModel

/// The part of a conversation that the writer needs to check the next write without reading the
/// file.
struct CachedConversation {
    let id: Int
    var head: SequenceNumber
    var revision: Revision
    var updatedAt: Timestamp
    var retainedFrom: SequenceNumber
    /// The head at which the writer next checks whether it can trim messages.
    var nextTrimHead: SequenceNumber = 0
    /// The number of the last transaction that changed it.
    fileprivate var changedInTransaction = 0
    fileprivate var wasUsed = true

    init(
        id: Int, head: SequenceNumber, revision: Revision, updatedAt: Timestamp,
        retainedFrom: SequenceNumber
    ) {
        self.id = id
        self.head = head
        self.revision = revision
        self.updatedAt = updatedAt
        self.retainedFrom = retainedFrom
    }
}

/// The conversations that the writer keeps in memory. The writer is the only one that changes the
/// file, so the cache always matches the file.
///
/// A failed transaction reverts its changes here. Above `limit`, the cache evicts conversations
/// that were not used recently.
struct ConversationCache {
    private struct Entry {
        let key: ConversationKey
        var conversation: CachedConversation
    }

    private var slotByKey: [ConversationKey: UInt32] = [:]
    private var entries = SlotList<SlotID, Entry>(
        vacant: Entry(
            key: ConversationKey(tenant: "", id: ""),
            conversation: CachedConversation(
                id: 0, head: 0, revision: 0, updatedAt: Timestamp(milliseconds: 0),
                retainedFrom: 0)))
    private var clockHand: UInt32 = 0
    private var transaction = 1
    private var undoLog: [(slot: UInt32, previous: CachedConversation)] = []
    private var createdSlots: [UInt32] = []
    let limit: Int

    init(limit: Int) {
        self.limit = limit
    }

    var count: Int { self.entries.count }

    subscript(slot: UInt32) -> CachedConversation { self.entries[slot].conversation }

    /// The key of the conversation in a slot.
    func key(_ slot: UInt32) -> ConversationKey {
        precondition(self.entries.isOccupied(slot), "slot \(slot) is free")
        return self.entries[slot].key
    }

    @inline(__always)
    mutating func slot(of key: ConversationKey) -> UInt32? {
        guard let slot = self.slotByKey[key] else { return nil }
        self.entries[slot].conversation.wasUsed = true
        return slot
    }

    /// Adds a conversation. If this transaction created it, a rollback evicts it.
    mutating func insert(_ conversation: CachedConversation, for key: ConversationKey, isNew: Bool)
        -> UInt32
    {
        let slot = self.entries.insert(Entry(key: key, conversation: conversation)).slot
        self.slotByKey[key] = slot
        if isNew { self.createdSlots.append(slot) }
        return slot
    }

    /// Changes a cached conversation. A rollback reverts the change.
    @inline(__always)
    mutating func update(_ slot: UInt32, _ body: (inout CachedConversation) -> Void) {
        if self.entries[slot].conversation.changedInTransaction != self.transaction {
            self.undoLog.append((slot, self.entries[slot].conversation))
            self.entries[slot].conversation.changedInTransaction = self.transaction
        }
        body(&self.entries[slot].conversation)
    }

    /// Makes the transaction's changes final.
    mutating func commit() {
        self.transaction += 1
        self.undoLog.removeAll(keepingCapacity: true)
        self.createdSlots.removeAll(keepingCapacity: true)
        while self.count > self.limit { self.evictOne() }
    }

    /// Reverts the transaction's changes.
    mutating func rollBack() {
        for (slot, previous) in self.undoLog { self.entries[slot].conversation = previous }
        for slot in self.createdSlots { self.evict(slot) }
        self.transaction += 1
        self.undoLog.removeAll(keepingCapacity: true)
        self.createdSlots.removeAll(keepingCapacity: true)
    }

    /// Evicts by the clock algorithm: the hand skips each entry that was used since its last pass.
    private mutating func evictOne() {
        while true {
            self.clockHand = (self.clockHand + 1) % UInt32(self.entries.slotCount)
            guard self.entries.isOccupied(self.clockHand) else { continue }
            if !self.entries[self.clockHand].conversation.wasUsed {
                return self.evict(self.clockHand)
            }
            self.entries[self.clockHand].conversation.wasUsed = false
        }
    }

    private mutating func evict(_ slot: UInt32) {
        self.slotByKey[self.entries[slot].key] = nil
        self.entries.remove(slot)
    }
}
