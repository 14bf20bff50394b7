import ChatCore
import ChatModel

/// What is stored leaves in batches, and those who listen hear of it.
extension Owner {
    func announce(_ event: ChatEvent, _ revision: Revision, _ asked: Origin?, of number: UInt32, outbox: inout Outbox) {
        let slot = Int(number)
        var isAnswered = asked == nil || asked?.request == 0
        let told = revision == self.told.revision ? self.told.loops : LoopSet()
        for place in 0..<self.slots[slot].conversation.listeners.count {
            let listener = self.slots[slot].conversation.listeners[place]
            let answering = asked?.loop == listener.loop ? asked?.request ?? 0 : 0
            if answering != 0 { isAnswered = true }
            // Who has asked since the write left may have missed what it carried: only for others the numbers tell.
            if !told.isEmpty, listener.since < revision, told.contains(listener.loop) { continue }
            outbox.send(
                .event(
                    .init(
                        conversation: self.slots[slot].key, event: event, revision: revision, answering: answering,
                        feedPlace: listener.place)),
                to: listener.loop)
        }
        if !isAnswered, let asked, told.isEmpty || !told.contains(asked.loop) {
            outbox.send(.answer(asked.request, event.answer, place: number), to: asked.loop)
        }
    }

    /// Loops of other nodes hear of a message in the step that stores it: a publish, and the way back for the owner to ask for it, are
    /// saved. Should the step fail, nothing is said, and the gap in the envelopes' numbers makes sure that nobody relies on it.
    private mutating func announceWithWrite(_ place: Int, outbox: inout Outbox) {
        let write = self.batch[place]
        // Cursors have no revision, and nothing waits for them.
        guard write.revision > 0, self.isCurrent(self.asked[place].errand) else { return }
        let slot = Int(self.asked[place].errand.place.slot)
        // Behind a change that is announced once it is known to be stored, it would come too early: before the answer, perhaps, to somebody
        // who has come in with that change, and who would never hear of it.
        let isNext =
            self.slots[slot].conversation.storedRevision + 1 == write.revision || self.slots[slot].newsThrough + 1 == write.revision
        guard isNext, let event = Conversation.event(of: write.change) else {
            self.slots[slot].newsThrough = 0
            return
        }
        self.slots[slot].newsThrough = write.revision
        let asker = self.asked[place].origin.flatMap { $0.request == 0 ? nil : $0 }
        for number in 0..<self.slots[slot].conversation.listeners.count {
            let listener = self.slots[slot].conversation.listeners[number]
            guard listener.loop.incarnation != self.id.incarnation else { continue }
            let news = Envelope.News(
                conversation: write.conversation, event: event, revision: write.revision,
                answering: asker?.loop == listener.loop ? asker?.request ?? 0 : 0, feedPlace: listener.place)
            outbox.sendWithWrites(.event(news), to: listener.loop)
            self.asked[place].told.insert(listener.loop)
        }
        if let asker, asker.loop.incarnation != self.id.incarnation, !self.asked[place].told.contains(asker.loop) {
            outbox.sendWithWrites(.answer(asker.request, event.answer, place: UInt32(slot)), to: asker.loop)
            self.asked[place].told.insert(asker.loop)
        }
    }

    /// A change may be stored, and heard of, without its owner's learning of it, and be forgotten after that: it is held from the moment at
    /// which it leaves. Nothing is held where the store does not forget.
    private mutating func holdAlready(_ place: Int, at now: Moment) {
        let write = self.batch[place]
        guard write.revision > 0, self.isCurrent(self.asked[place].errand) else { return }
        self.slots[Int(self.asked[place].errand.place.slot)].conversation.hold(write.change, write.revision, at: now)
    }

    /// Whether something has gathered that is to be stored, or offered to others.
    var hasWork: Bool { !self.batch.isEmpty || self.unoffered > 0 }

    /// What has gathered since the last time leaves as one batch; nothing waits for company.
    ///
    /// - Parameter carriesNews: the store lets other nodes hear of what it stores in the same step.
    mutating func flush(carriesNews: Bool = false, at now: Moment, outbox: inout Outbox) {
        guard !self.batch.isEmpty else { return }
        if self.limits.hold > .zero { for place in self.batch.indices { self.holdAlready(place, at: now) } }
        if carriesNews { for place in self.batch.indices { self.announceWithWrite(place, outbox: &outbox) } }
        self.writesUnderWay += self.batch.count
        let room = self.batch.count
        self.purposes[outbox.request(.write(WriteBatch(owner: self.id, writes: self.batch)))] = .write(self.batch, self.asked)
        self.batch = []
        self.asked = []
        self.batch.reserveCapacity(room)
        self.asked.reserveCapacity(room)
    }
}
