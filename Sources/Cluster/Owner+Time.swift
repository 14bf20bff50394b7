import ChatCore
import ChatModel

/// What an owner does when time has passed.
extension Owner {
    mutating func tick(at now: Moment, outbox: inout Outbox) {
        while let due = self.wakeups.popDue(at: now.monotonic) {
            guard self.isCurrent(Place(slot: due.slot, generation: due.generation)) else { continue }
            self.slots[Int(due.slot)].conversation.isStoreAway = now.monotonic < self.writesAwayUntil
            self.update(due.slot, at: now, outbox: &outbox) { $0.tick(at: now, into: &$1) }
        }
        let over = self.doubts.filter { $0.until <= now.monotonic }
        self.doubts.removeAll { $0.until <= now.monotonic }
        for doubt in over {
            for place in doubt.places.sorted(by: { $0.slot < $1.slot }) where self.isCurrent(place) {
                self.update(place.slot, at: now, outbox: &outbox) { $0.detach(doubt.loop, at: now, into: &$1) }
            }
        }
        self.forgetKeepsakes(at: now)
        self.sweep(at: now)
    }

    /// Looks at some conversations each time. Those that nobody has needed for long are dropped where nobody listens;
    /// where somebody does, they take as little room as they can.
    private mutating func sweep(at now: Moment) {
        let idle = self.limits.idle.wholeMilliseconds
        for _ in 0..<min(self.slots.count, 256) {
            self.swept = (self.swept + 1) % self.slots.count
            guard self.slots[self.swept].isUsed, self.slots[self.swept].lastUsed + idle < now.monotonic else { continue }
            if self.slots[self.swept].conversation.isIdle {
                self.close(UInt32(self.swept), at: now)
            } else {
                self.slots[self.swept].conversation.rest()
            }
        }
    }

    // MARK: Loops that may be gone

    /// Envelopes between this loop and that one were lost: what it listens to is asked for again.
    mutating func doubt(_ loop: OwnerID, at now: Moment) {
        var places = Set<Place>()
        for number in self.slots.indices where self.slots[number].isUsed && self.slots[number].conversation.listeners.contains(loop) {
            places.insert(self.place(UInt32(number)))
        }
        self.doubts.removeAll { $0.loop == loop }
        if !places.isEmpty { self.doubts.append(Doubt(loop: loop, places: places, until: now.monotonic + Self.doubtMilliseconds)) }
    }

    mutating func considerDoubt(of loop: OwnerID, _ number: UInt32, _ input: Envelope.Input, outbox: inout Outbox) {
        guard let index = self.doubts.firstIndex(where: { $0.loop == loop }), self.doubts[index].places.contains(self.place(number)) else {
            return
        }
        switch input.input {
        case .attach:
            self.doubts[index].places.remove(self.place(number))
        case .command(.enter):
            // It may have let go of the conversation, which was lost, and come back: it is to say who listens now.
            outbox.send(.attachAgain(input.conversation), to: loop)
        default:
            break
        }
    }
}
