import Bytes
import ChatModel

/// What the writer must know of a conversation to judge its next write without asking the file.
struct KnownConversation {
    let id: Int
    var head: SequenceNumber
    var revision: Revision
    var updatedAt: Timestamp
    var keptFrom: SequenceNumber
    /// The head at which it is next worth looking for messages to take out.
    var trimAt: SequenceNumber = 0
    /// The transaction in which it last changed.
    fileprivate var transaction = 0
    fileprivate var isTouched = true

    init(id: Int, head: SequenceNumber, revision: Revision, updatedAt: Timestamp, keptFrom: SequenceNumber) {
        self.id = id
        self.head = head
        self.revision = revision
        self.updatedAt = updatedAt
        self.keptFrom = keptFrom
    }
}

/// The conversations that the writer knows: it alone writes, so what it knows is what is stored.
///
/// A transaction that fails takes back what it changed here. Beyond `limit` those are forgotten that were not used for longest, roughly.
struct ConversationLedger {
    private var directory: [ConversationKey: Int] = [:]
    private var keys: [ConversationKey?] = []
    private var slots: [KnownConversation] = []
    private var free: [Int] = []
    private var hand = 0
    private var transaction = 1
    private var undo: [(slot: Int, was: KnownConversation)] = []
    private var created: [Int] = []
    let limit: Int

    init(limit: Int) {
        self.limit = limit
    }

    var count: Int { self.slots.count - self.free.count }

    subscript(slot: Int) -> KnownConversation { self.slots[slot] }

    /// Whose slot it is.
    func key(_ slot: Int) -> ConversationKey {
        guard let key = self.keys[slot] else { preconditionFailure("slot \(slot) is free") }
        return key
    }

    @inline(__always)
    mutating func slot(of key: ConversationKey) -> Int? {
        guard let slot = self.directory[key] else { return nil }
        self.slots[slot].isTouched = true
        return slot
    }

    /// Notes a conversation; one that this transaction makes is forgotten if it fails.
    mutating func insert(_ known: KnownConversation, for key: ConversationKey, isMade: Bool) -> Int {
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
        self.directory[key] = slot
        if isMade { self.created.append(slot) }
        return slot
    }

    /// Changes what is known, until the transaction fails.
    @inline(__always)
    mutating func change(_ slot: Int, _ body: (inout KnownConversation) -> Void) {
        if self.slots[slot].transaction != self.transaction {
            self.undo.append((slot, self.slots[slot]))
            self.slots[slot].transaction = self.transaction
        }
        body(&self.slots[slot])
    }

    /// The transaction is stored.
    mutating func commit() {
        self.transaction += 1
        self.undo.removeAll(keepingCapacity: true)
        self.created.removeAll(keepingCapacity: true)
        while self.count > self.limit { self.forgetOne() }
    }

    /// The transaction is not stored: everything is as it was before.
    mutating func rollBack() {
        for (slot, was) in self.undo { self.slots[slot] = was }
        for slot in self.created { self.forget(slot) }
        self.transaction += 1
        self.undo.removeAll(keepingCapacity: true)
        self.created.removeAll(keepingCapacity: true)
    }

    /// The clock algorithm: the hand passes those that were used since it last came by.
    private mutating func forgetOne() {
        while true {
            self.hand = (self.hand + 1) % self.slots.count
            guard self.keys[self.hand] != nil else { continue }
            if !self.slots[self.hand].isTouched { return self.forget(self.hand) }
            self.slots[self.hand].isTouched = false
        }
    }

    private mutating func forget(_ slot: Int) {
        guard let key = self.keys[slot] else { return }
        self.directory[key] = nil
        self.keys[slot] = nil
        self.free.append(slot)
    }
}
