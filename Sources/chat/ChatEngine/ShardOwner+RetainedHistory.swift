import Bytes
import ChatCore
import ChatModel
import Cluster

/// Changes that an owner retains of conversations that it no longer owns, because the store may
/// lose them.
///
/// They are offered to the current owner when the store may have lost data, and when that owner
/// queries them. Only the current owner knows what was written since, so it does the comparison.
extension ShardOwner {
    /// Retained changes of one period of ownership.
    struct RetainedHistory: Sendable {
        let key: ConversationKey
        let changes: [RetainedWrite]
        let expiresAt: Int64
    }

    mutating func retain(_ number: UInt32, at now: ClockReading) {
        self.retain(
            self.slots[number].conversation.retainedWrites(at: now),
            of: self.slots[number].key, at: now)
    }

    /// Retains a write of which this owner learns late that it is stored: it has handed the
    /// conversation over, or loaded it again, and another change may have the write's number by
    /// then. The retry of its request gets the answer.
    mutating func retain(_ write: Write, at now: ClockReading) {
        guard write.revision > 0, self.limits.retention > .zero else { return }
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

    /// Takes the histories to offer without a query, each once.
    mutating func takeUnoffered() -> [RetainedHistory] {
        defer { self.unofferedCount = 0 }
        return self.retainedHistories.suffix(self.unofferedCount)
    }

    func retained(of key: ConversationKey) -> [RetainedHistory] {
        self.retainedHistories.filter { $0.key == key }
    }

    /// Retains the changes of all conversations, because this loop becomes another owner.
    mutating func retainAll(at now: ClockReading) {
        for number in self.slots.occupiedSlots {
            self.retain(number, at: now)
        }
    }

    /// Queries every loop, including this one, for retained changes.
    func queryHolders(of key: ConversationKey, output: inout LoopOutput) {
        for node in self.view.nodes {
            for loop in 0..<node.loops {
                output.send(
                    .recoveryQuery(key),
                    to: LoopID(incarnation: node.incarnation, loop: UInt16(loop)))
            }
        }
    }
}
