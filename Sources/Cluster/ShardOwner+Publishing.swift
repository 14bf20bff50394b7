import ChatCore
import ChatModel

/// What is stored leaves in batches, and those who listen hear of it.
extension ShardOwner {
    func publish(
        _ event: ChatEvent, _ revision: Revision, _ asked: RequestOrigin?, of number: UInt32,
        outbox: inout Outbox
    ) {
        let slot = Int(number)
        var isAnswered = asked == nil || asked?.request == 0
        let told =
            revision == self.alreadyNotified.revision ? self.alreadyNotified.loops : LoopSet()
        for place in 0..<self.slots[slot].conversation.subscribers.count {
            let listener = self.slots[slot].conversation.subscribers[place]
            let answering = asked?.loop == listener.loop ? asked?.request ?? 0 : 0
            if answering != 0 { isAnswered = true }
            // Who has asked since the write left may have missed what it carried: only for others the numbers tell.
            if !told.isEmpty, listener.attachedAtRevision < revision, told.contains(listener.loop) {
                continue
            }
            outbox.send(
                .event(
                    .init(
                        conversation: self.slots[slot].key, event: event, revision: revision,
                        answering: answering,
                        feedSlot: listener.feedSlot)),
                to: listener.loop)
        }
        if !isAnswered, let asked, told.isEmpty || !told.contains(asked.loop) {
            outbox.send(.answer(asked.request, event.answer, slot: number), to: asked.loop)
        }
    }

    /// Loops of other nodes hear of a message in the step that stores it: a publish, and the way back for the owner to ask for it, are
    /// saved. Should the step fail, nothing is said, and the gap in the envelopes' numbers makes sure that nobody relies on it.
    private mutating func publishWithWrite(_ place: Int, outbox: inout Outbox) {
        let write = self.batch[place]
        // Cursors have no revision, and nothing waits for them.
        guard write.revision > 0, self.isCurrent(self.writeContexts[place].continuation) else {
            return
        }
        let slot = Int(self.writeContexts[place].continuation.conversation.slot)
        // Behind a change that is announced once it is known to be stored, it would come too early: before the answer, perhaps, to somebody
        // who has come in with that change, and who would never hear of it.
        let isNext =
            self.slots[slot].conversation.storedRevision + 1 == write.revision
            || self.slots[slot].publishedThrough + 1 == write.revision
        guard isNext, let event = Conversation.event(of: write.change) else {
            self.slots[slot].publishedThrough = 0
            return
        }
        self.slots[slot].publishedThrough = write.revision
        let asker = self.writeContexts[place].origin.flatMap { $0.request == 0 ? nil : $0 }
        for number in 0..<self.slots[slot].conversation.subscribers.count {
            let listener = self.slots[slot].conversation.subscribers[number]
            guard listener.loop.incarnation != self.id.incarnation else { continue }
            let news = Envelope.EventNotification(
                conversation: write.conversation, event: event, revision: write.revision,
                answering: asker?.loop == listener.loop ? asker?.request ?? 0 : 0,
                feedSlot: listener.feedSlot)
            outbox.sendWithWrites(.event(news), to: listener.loop)
            self.writeContexts[place].alreadyNotified.insert(listener.loop)
        }
        if let asker, asker.loop.incarnation != self.id.incarnation,
            !self.writeContexts[place].alreadyNotified.contains(asker.loop)
        {
            outbox.sendWithWrites(
                .answer(asker.request, event.answer, slot: UInt32(slot)), to: asker.loop)
            self.writeContexts[place].alreadyNotified.insert(asker.loop)
        }
    }

    /// A change may be stored, and heard of, without its owner's learning of it, and be forgotten after that: it is held from the moment at
    /// which it leaves. Nothing is held where the store does not forget.
    private mutating func retainBeforeWrite(_ place: Int, at now: ClockReading) {
        let write = self.batch[place]
        guard write.revision > 0, self.isCurrent(self.writeContexts[place].continuation) else {
            return
        }
        self.slots[Int(self.writeContexts[place].continuation.conversation.slot)].conversation
            .retain(write.change, write.revision, at: now)
    }

    /// Whether something has gathered that is to be stored, or offered to others.
    var hasWork: Bool { !self.batch.isEmpty || self.unofferedCount > 0 }

    /// What has gathered since the last time leaves as one batch; nothing waits for company.
    ///
    /// - Parameter carriesNews: the store lets other nodes hear of what it stores in the same step.
    mutating func flush(
        publishesWithWrite carriesNews: Bool = false, at now: ClockReading, outbox: inout Outbox
    ) {
        guard !self.batch.isEmpty else { return }
        if self.limits.retention > .zero {
            for place in self.batch.indices { self.retainBeforeWrite(place, at: now) }
        }
        if carriesNews {
            for place in self.batch.indices { self.publishWithWrite(place, outbox: &outbox) }
        }
        self.writesInFlight += self.batch.count
        let room = self.batch.count
        self.pendingRequests[
            outbox.submit(.write(WriteBatch(owner: self.id, writes: self.batch)))] = .write(
                self.batch, self.writeContexts)
        self.batch = []
        self.writeContexts = []
        self.batch.reserveCapacity(room)
        self.writeContexts.reserveCapacity(room)
    }
}
