import Bytes
import ChatModel

/// What the writer must know of a conversation to judge its next write without asking the file.
struct CachedConversation {
    let id: Int
    var head: SequenceNumber
    var revision: Revision
    var updatedAt: Timestamp
    var retainedFrom: SequenceNumber
    /// The head at which it is next worth looking for messages to take out.
    var nextTrimHead: SequenceNumber = 0
    /// The transaction in which it last changed.
    fileprivate var changedInTransaction = 0
    fileprivate var wasUsed = true

    init(
        id: Int, head: SequenceNumber, revision: Revision, updatedAt: Timestamp,
        retainedFrom keptFrom: SequenceNumber
    ) {
        self.id = id
        self.head = head
        self.revision = revision
        self.updatedAt = updatedAt
        self.retainedFrom = keptFrom
    }
}

/// The conversations that the writer knows: it alone writes, so what it knows is what is stored.
///
/// A transaction that fails takes back what it changed here. Beyond `limit` those are forgotten that were not used for longest, roughly.
struct ConversationCache {
    private var slotByKey: [ConversationKey: Int] = [:]
    private var keys: [ConversationKey?] = []
    private var slots: [CachedConversation] = []
    private var free: [Int] = []
    private var clockHand = 0
    private var transaction = 1
    private var undoLog: [(slot: Int, was: CachedConversation)] = []
    private var createdSlots: [Int] = []
    let limit: Int

    init(limit: Int) {
        self.limit = limit
    }

    var count: Int { self.slots.count - self.free.count }

    subscript(slot: Int) -> CachedConversation { self.slots[slot] }

    /// Whose slot it is.
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

    /// Notes a conversation; one that this transaction makes is forgotten if it fails.
    mutating func insert(_ known: CachedConversation, for key: ConversationKey, isNew isMade: Bool)
        -> Int
    {
        let slot: Int
        if let unused = self.free.popLast() {
            slot = unused
            self.slots[slot] = known
            self.keys[slot] = key
        } else {
            slot = self.slots.count
            self.slots.append(known)
            self.keys.append(key)
        }
        self.slotByKey[key] = slot
        if isMade { self.createdSlots.append(slot) }
        return slot
    }

    /// Changes what is known, until the transaction fails.
    @inline(__always)
    mutating func update(_ slot: Int, _ body: (inout CachedConversation) -> Void) {
        if self.slots[slot].changedInTransaction != self.transaction {
            self.undoLog.append((slot, self.slots[slot]))
            self.slots[slot].changedInTransaction = self.transaction
        }
        body(&self.slots[slot])
    }

    /// The transaction is stored.
    mutating func commit() {
        self.transaction += 1
        self.undoLog.removeAll(keepingCapacity: true)
        self.createdSlots.removeAll(keepingCapacity: true)
        while self.count > self.limit { self.evictOne() }
    }

    /// The transaction is not stored: everything is as it was before.
    mutating func rollBack() {
        for (slot, was) in self.undoLog { self.slots[slot] = was }
        for slot in self.createdSlots { self.evict(slot) }
        self.transaction += 1
        self.undoLog.removeAll(keepingCapacity: true)
        self.createdSlots.removeAll(keepingCapacity: true)
    }

    /// The clock algorithm: the hand passes those that were used since it last came by.
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
