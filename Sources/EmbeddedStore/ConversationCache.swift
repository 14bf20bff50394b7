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
    private var slotByKey: [ConversationKey: Int] = [:]
    private var keys: [ConversationKey?] = []
    private var slots: [CachedConversation] = []
    private var free: [Int] = []
    private var clockHand = 0
    private var transaction = 1
    private var undoLog: [(slot: Int, previous: CachedConversation)] = []
    private var createdSlots: [Int] = []
    let limit: Int

    init(limit: Int) {
        self.limit = limit
    }

    var count: Int { self.slots.count - self.free.count }

    subscript(slot: Int) -> CachedConversation { self.slots[slot] }

    /// The key of the conversation in a slot.
    func key(_ slot: Int) -> ConversationKey {
        guard let key = self.keys[slot] else { preconditionFailure("slot \(slot) is free") }
        return key
    }

    @inline(__always)
    mutating func slot(of key: ConversationKey) -> Int? {
        guard let slot = self.slotByKey[key] else { return nil }
        self.slots[slot].wasUsed = true
        return slot
    }

    /// Adds a conversation. If this transaction created it, a rollback evicts it.
    mutating func insert(_ conversation: CachedConversation, for key: ConversationKey, isNew: Bool)
        -> Int
    {
        let slot: Int
        if let unused = self.free.popLast() {
            slot = unused
            self.slots[slot] = conversation
            self.keys[slot] = key
        } else {
            slot = self.slots.count
            self.slots.append(conversation)
            self.keys.append(key)
        }
        self.slotByKey[key] = slot
        if isNew { self.createdSlots.append(slot) }
        return slot
    }

    /// Changes a cached conversation. A rollback reverts the change.
    @inline(__always)
    mutating func update(_ slot: Int, _ body: (inout CachedConversation) -> Void) {
        if self.slots[slot].changedInTransaction != self.transaction {
            self.undoLog.append((slot, self.slots[slot]))
            self.slots[slot].changedInTransaction = self.transaction
        }
        body(&self.slots[slot])
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
        for (slot, previous) in self.undoLog { self.slots[slot] = previous }
        for slot in self.createdSlots { self.evict(slot) }
        self.transaction += 1
        self.undoLog.removeAll(keepingCapacity: true)
        self.createdSlots.removeAll(keepingCapacity: true)
    }

    /// Evicts by the clock algorithm: the hand skips each entry that was used since its last pass.
    private mutating func evictOne() {
        while true {
            self.clockHand = (self.clockHand + 1) % self.slots.count
            guard self.keys[self.clockHand] != nil else { continue }
            if !self.slots[self.clockHand].wasUsed { return self.evict(self.clockHand) }
            self.slots[self.clockHand].wasUsed = false
        }
    }

    private mutating func evict(_ slot: Int) {
        guard let key = self.keys[slot] else { return }
        self.slotByKey[key] = nil
        self.keys[slot] = nil
        self.free.append(slot)
    }
}
