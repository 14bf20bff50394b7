import ChatCore
import ChatModel

/// Batches of writes, and the publication of stored changes to subscribers.
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
            // A loop that attached after the write was sent may have missed its publication; for
            // the others, envelope numbers reveal a loss.
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

    /// Publishes a change to loops of other nodes in the step that stores it. This saves a publish,
    /// and the owner's round trip before it. If the write fails, nothing is published, and the gap
    /// in the envelope numbers starts a repair.
    private mutating func publishWithWrite(_ place: Int, outbox: inout Outbox) {
        let write = self.batch[place]
        // Cursors have no revision, and no request waits for them.
        guard write.revision > 0, self.isCurrent(self.writeContexts[place].continuation) else {
            return
        }
        let slot = Int(self.writeContexts[place].continuation.conversation.slot)
        // Behind a change that is published only after it is stored, this event would arrive too
        // early. A user that joins with that change could receive it before the answer, and would
        // then miss it.
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

    /// Retains a change from the moment it is sent. It may be stored and delivered, and then lost
    /// by the store, before the owner learns that it was stored. Nothing is retained if the store
    /// loses no data.
    private mutating func retainBeforeWrite(_ place: Int, at now: ClockReading) {
        let write = self.batch[place]
        guard write.revision > 0, self.isCurrent(self.writeContexts[place].continuation) else {
            return
        }
        self.slots[Int(self.writeContexts[place].continuation.conversation.slot)].conversation
            .retain(write.change, write.revision, at: now)
    }

    /// Whether there are writes to send or retained changes to offer.
    var hasWork: Bool { !self.batch.isEmpty || self.unofferedCount > 0 }

    /// Sends the pending writes as one batch. Writes never wait for other writes.
    ///
    /// - Parameter carriesNews: the store publishes to other nodes in the step that stores a write.
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
