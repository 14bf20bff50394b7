import ChatCore
import ChatModel

/// What a loop has asked of owners and waits for.
///
/// A request is asked again, under the same number and client id, until it is answered or its time is over: the
/// owner may have died with it.
struct Requests: Sendable {
    struct Pending: Sendable {
        let conversation: ConversationKey
        let input: ConversationInput
        let owner: OwnerID
        /// What the asker knows it by; nil for the loop's own.
        let context: UInt64?
        let deadline: Int64
        var askAgainAt: Int64
        var attempts = 1
        /// The newest message that this loop had shown when it asked.
        let shownThrough: SequenceNumber
        /// Whoever asked is gone; the answer is only cleared away.
        var isCancelled = false
    }

    private var slots: [Pending?] = []
    private var generations: [UInt32] = []
    private var free: [UInt32] = []
    private(set) var count = 0

    mutating func insert(_ pending: Pending) -> RequestID {
        let slot: UInt32
        if let reused = self.free.popLast() {
            slot = reused
        } else {
            slot = UInt32(self.slots.count)
            self.slots.append(nil)
            self.generations.append(0)
        }
        self.generations[Int(slot)] &+= 1
        // 0 says that no answer is wanted.
        if self.generations[Int(slot)] == 0 { self.generations[Int(slot)] = 1 }
        let generation = self.generations[Int(slot)]
        self.slots[Int(slot)] = pending
        self.count += 1
        return RequestID(generation) << 32 | RequestID(slot)
    }

    private func slot(of id: RequestID) -> Int? {
        let slot = Int(id & 0xFFFF_FFFF)
        guard slot < self.slots.count, self.slots[slot] != nil, self.generations[slot] == UInt32(id >> 32) else { return nil }
        return slot
    }

    subscript(id: RequestID) -> Pending? {
        self.slot(of: id).flatMap { self.slots[$0] }
    }

    mutating func remove(_ id: RequestID) -> Pending? {
        guard let slot = self.slot(of: id) else { return nil }
        defer {
            self.slots[slot] = nil
            self.free.append(UInt32(slot))
            self.count -= 1
        }
        return self.slots[slot]
    }

    mutating func postpone(_ id: RequestID, until time: Int64) {
        guard let slot = self.slot(of: id) else { return }
        self.slots[slot]?.askAgainAt = time
        self.slots[slot]?.attempts += 1
    }

    mutating func cancel(_ id: RequestID) {
        guard let slot = self.slot(of: id) else { return }
        self.slots[slot]?.isCancelled = true
    }

    /// Those that are due to be asked again, or over.
    func due(at time: Int64) -> [(RequestID, Pending)] {
        guard self.count > 0 else { return [] }
        var due: [(RequestID, Pending)] = []
        for (slot, pending) in self.slots.enumerated() {
            guard let pending, pending.askAgainAt <= time || pending.deadline <= time else { continue }
            due.append((RequestID(self.generations[slot]) << 32 | RequestID(slot), pending))
        }
        return due
    }
}
