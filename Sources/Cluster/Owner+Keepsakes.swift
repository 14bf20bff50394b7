import ChatCore
import ChatModel

/// What an owner keeps of conversations that are not here any more: the changes of its time that the store may forget.
///
/// It is offered to whoever owns the conversation when the store may have forgotten something, and when an owner asks for it. The owner
/// compares: it alone knows what has been written since.
extension Owner {
    /// What is kept of one time in which a conversation was here.
    struct Keepsake: Sendable {
        let key: ConversationKey
        let changes: [HeldChange]
        let until: Int64
    }

    mutating func keep(_ number: UInt32, at now: Moment) {
        self.keep(self.slots[Int(number)].conversation.heldChanges(at: now), of: self.slots[Int(number)].key, at: now)
    }

    /// A write was stored when its conversation was let go already: who repeats the request that it was for is answered by the next owner.
    mutating func keep(_ write: Write, at now: Moment) {
        guard write.revision > 0 else { return }
        self.keep(
            [HeldChange(revision: write.revision, change: write.change, storedAt: now.monotonic)], of: write.conversation, at: now)
    }

    private mutating func keep(_ changes: [HeldChange], of key: ConversationKey, at now: Moment) {
        guard !changes.isEmpty else { return }
        if now.monotonic < self.inDoubtUntil { self.unoffered += 1 }
        self.keepsakes.append(Keepsake(key: key, changes: changes, until: now.after(self.limits.hold)))
    }

    mutating func forgetKeepsakes(at now: Moment) {
        guard let oldest = self.keepsakes.first, oldest.until <= now.monotonic else { return }
        self.keepsakes.removeAll { $0.until <= now.monotonic }
        self.unoffered = min(self.unoffered, self.keepsakes.count)
    }

    /// What its owners are to hear of without asking, each once.
    mutating func takeUnoffered() -> [Keepsake] {
        defer { self.unoffered = 0 }
        return self.keepsakes.suffix(self.unoffered)
    }

    func kept(of key: ConversationKey) -> [Keepsake] {
        self.keepsakes.filter { $0.key == key }
    }

    /// All that has to be kept when this loop is another owner from here on.
    mutating func keepAll(at now: Moment) {
        for number in self.slots.indices where self.slots[number].isUsed { self.keep(UInt32(number), at: now) }
    }

    /// Asks every loop, this one too, for what it keeps.
    func seekHolders(of key: ConversationKey, outbox: inout Outbox) {
        for node in self.view.nodes {
            for loop in 0..<node.loops {
                outbox.send(.wanted(key), to: OwnerID(incarnation: node.incarnation, loop: UInt16(loop)))
            }
        }
    }
}
