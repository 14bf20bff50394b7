import Bytes
import ChatCore
import ChatModel

/// Timers of an owner.
extension ShardOwner {
    /// Tells a conversation whether the store takes its writes at present.
    mutating func setWriteAvailability(of number: UInt32, at now: ClockReading) {
        let isBackedOff = now.monotonic < self.writesUnavailableUntil
        self.slots[number].conversation.areWritesUnavailable =
            isBackedOff || self.writesInFlight >= Self.writesInFlightLimit
        self.slots[number].conversation.unavailability =
            isBackedOff ? self.unavailability : .unavailable
    }

    mutating func tick(at now: ClockReading, output: inout LoopOutput) {
        for number in self.timers.takeDue(at: now.monotonic) {
            guard let wakeAt = self.slots[number].conversation.wakeAt else { continue }
            guard wakeAt <= now.monotonic else {
                self.timers.schedule(number, at: wakeAt)
                continue
            }
            self.setWriteAvailability(of: number, at: now)
            self.update(number, at: now, output: &output) { $0.tick(at: now, into: &$1) }
        }
        let expired = self.suspectedSubscribers.filter { $0.deadline <= now.monotonic }
        self.suspectedSubscribers.removeAll { $0.deadline <= now.monotonic }
        for suspect in expired {
            for conversation in suspect.conversations.sorted(by: { $0.slot < $1.slot })
            where self.isCurrent(conversation) {
                self.update(conversation.slot, at: now, output: &output) {
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
        for _ in 0..<min(self.slots.slotCount, 256) {
            self.sweptSlot = (self.sweptSlot + 1) % UInt32(self.slots.slotCount)
            guard self.slots.isOccupied(self.sweptSlot),
                self.slots[self.sweptSlot].lastUsed + idleMilliseconds < now.monotonic
            else { continue }
            if self.slots[self.sweptSlot].conversation.isIdle {
                self.close(self.sweptSlot, at: now)
            } else {
                self.slots[self.sweptSlot].conversation.trim()
            }
        }
    }

    // MARK: Suspected loops

    /// Suspects a loop as a subscriber because envelopes between the two loops were lost. It must
    /// attach again to the conversations that it subscribes to.
    mutating func suspect(_ loop: LoopID, at now: ClockReading) {
        var conversations = Set<ConversationReference>()
        for number in self.slots.occupiedSlots
        where self.slots[number].conversation.subscribers.contains(loop) {
            conversations.insert(self.slots.key(of: number))
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
        of loop: LoopID, _ number: UInt32, _ input: Envelope.Input, output: inout LoopOutput
    ) {
        guard let index = self.suspectedSubscribers.firstIndex(where: { $0.loop == loop }),
            self.suspectedSubscribers[index].conversations.contains(self.slots.key(of: number))
        else {
            return
        }
        switch input.input {
        case .attach:
            self.suspectedSubscribers[index].conversations.remove(self.slots.key(of: number))
        case .command(.joinAndSubscribe):
            // The loop may have unsubscribed, in a lost envelope, and joined again: ask it for its
            // subscribers.
            output.send(.reattach(input.conversation), to: loop)
        default:
            break
        }
    }
}
