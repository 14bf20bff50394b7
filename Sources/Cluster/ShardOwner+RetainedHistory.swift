import ChatCore
import ChatModel

/// What an owner keeps of conversations that are not here any more: the changes of its time that the store may forget.
///
/// It is offered to whoever owns the conversation when the store may have forgotten something, and when an owner asks for it. The owner
/// compares: it alone knows what has been written since.
extension ShardOwner {
    /// What is kept of one time in which a conversation was here.
    struct RetainedHistory: Sendable {
        let key: ConversationKey
        let changes: [RetainedWrite]
        let expiresAt: Int64
    }

    mutating func retain(_ number: UInt32, at now: ClockReading) {
        self.retain(
            self.slots[Int(number)].conversation.retainedWrites(at: now),
            of: self.slots[Int(number)].key, at: now)
    }

    /// A write was stored when its conversation was let go already: who repeats the request that it was for is answered by the next owner.
    mutating func retain(_ write: Write, at now: ClockReading) {
        guard write.revision > 0 else { return }
        self.retain(
            [
                RetainedWrite(
                    revision: write.revision, change: write.change, storedAt: now.monotonic)
            ], of: write.conversation, at: now)
    }

    private mutating func retain(
        _ changes: [RetainedWrite], of key: ConversationKey, at now: ClockReading
    ) {
        guard !changes.isEmpty else { return }
        if now.monotonic < self.storeInDoubtUntil { self.unofferedCount += 1 }
        self.retainedHistories.append(
            RetainedHistory(key: key, changes: changes, expiresAt: now.after(self.limits.retention))
        )
    }

    mutating func expireRetained(at now: ClockReading) {
        guard let oldest = self.retainedHistories.first, oldest.expiresAt <= now.monotonic else {
            return
        }
        self.retainedHistories.removeAll { $0.expiresAt <= now.monotonic }
        self.unofferedCount = min(self.unofferedCount, self.retainedHistories.count)
    }

    /// What its owners are to hear of without asking, each once.
    mutating func takeUnoffered() -> [RetainedHistory] {
        defer { self.unofferedCount = 0 }
        return self.retainedHistories.suffix(self.unofferedCount)
    }

    func retained(of key: ConversationKey) -> [RetainedHistory] {
        self.retainedHistories.filter { $0.key == key }
    }

    /// All that has to be kept when this loop is another owner from here on.
    mutating func retainAll(at now: ClockReading) {
        for number in self.slots.indices where self.slots[number].isUsed {
            self.retain(UInt32(number), at: now)
        }
    }

    /// Asks every loop, this one too, for what it keeps.
    func queryHolders(of key: ConversationKey, outbox: inout Outbox) {
        for node in self.view.nodes {
            for loop in 0..<node.loops {
                outbox.send(
                    .recoveryQuery(key),
                    to: LoopID(incarnation: node.incarnation, loop: UInt16(loop)))
            }
        }
    }
}
