import ChatCore
import ChatModel

/// Timers of an owner.
extension ShardOwner {
    mutating func tick(at now: ClockReading, outbox: inout Outbox) {
        while let due = self.timers.popDue(at: now.monotonic) {
            guard self.isCurrent(ConversationReference(slot: due.slot, generation: due.generation))
            else { continue }
            self.slots[Int(due.slot)].conversation.areWritesUnavailable =
                now.monotonic < self.writesUnavailableUntil
            self.update(due.slot, at: now, outbox: &outbox) { $0.tick(at: now, into: &$1) }
        }
        let expired = self.suspectedSubscribers.filter { $0.deadline <= now.monotonic }
        self.suspectedSubscribers.removeAll { $0.deadline <= now.monotonic }
        for suspect in expired {
            for conversation in suspect.conversations.sorted(by: { $0.slot < $1.slot })
            where self.isCurrent(conversation) {
                self.update(conversation.slot, at: now, outbox: &outbox) {
                    $0.detach(suspect.loop, at: now, into: &$1)
                }
            }
        }
        self.expireRetained(at: now)
        self.sweep(at: now)
    }

    /// Visits some conversations per call. Conversations that were idle for long are closed if they
    /// have no subscribers; otherwise their memory is trimmed.
    private mutating func sweep(at now: ClockReading) {
        let idleMilliseconds = self.limits.idleTimeout.wholeMilliseconds
        for _ in 0..<min(self.slots.count, 256) {
            self.sweepIndex = (self.sweepIndex + 1) % self.slots.count
            guard self.slots[self.sweepIndex].isUsed,
                self.slots[self.sweepIndex].lastUsed + idleMilliseconds < now.monotonic
            else { continue }
            if self.slots[self.sweepIndex].conversation.isIdle {
                self.close(UInt32(self.sweepIndex), at: now)
            } else {
                self.slots[self.sweepIndex].conversation.trim()
            }
        }
    }

    // MARK: Suspected loops

    /// Suspects a loop as a subscriber because envelopes between the two loops were lost. It must
    /// attach again to the conversations that it subscribes to.
    mutating func suspect(_ loop: LoopID, at now: ClockReading) {
        var conversations = Set<ConversationReference>()
        for number in self.slots.indices
        where self.slots[number].isUsed
            && self.slots[number].conversation.subscribers.contains(loop)
        {
            conversations.insert(self.reference(to: UInt32(number)))
        }
        self.suspectedSubscribers.removeAll { $0.loop == loop }
        if !conversations.isEmpty {
            self.suspectedSubscribers.append(
                SuspectedSubscriber(
                    loop: loop, conversations: conversations,
                    deadline: now.monotonic + Self.suspicionMilliseconds))
        }
    }

    mutating func reviewSuspicion(
        of loop: LoopID, _ number: UInt32, _ input: Envelope.Input, outbox: inout Outbox
    ) {
        guard let index = self.suspectedSubscribers.firstIndex(where: { $0.loop == loop }),
            self.suspectedSubscribers[index].conversations.contains(self.reference(to: number))
        else {
            return
        }
        switch input.input {
        case .attach:
            self.suspectedSubscribers[index].conversations.remove(self.reference(to: number))
        case .command(.joinAndSubscribe):
            // The loop may have unsubscribed, in a lost envelope, and joined again: ask it for its
            // subscribers.
            outbox.send(.reattach(input.conversation), to: loop)
        default:
            break
        }
    }
}
