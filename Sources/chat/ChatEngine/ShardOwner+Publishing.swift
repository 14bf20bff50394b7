import Bytes
import ChatCore
import ChatModel

/// Batches of writes, and the publication of stored changes to subscribers.
extension ShardOwner {
    mutating func publish(
        _ event: ChatEvent, _ revision: Revision, _ origin: RequestOrigin?, of number: UInt32,
        output: inout LoopOutput
    ) {
        if output.presence != nil { output.recordPresence(event, in: self.slots[number].key) }
        var isAnswered = origin == nil || origin?.request == 0
        var loopCount = 0
        let notified =
            revision == self.alreadyNotified.revision ? self.alreadyNotified.loops : LoopSet()
        for index in 0..<self.slots[number].conversation.subscribers.count {
            let subscriber = self.slots[number].conversation.subscribers[index]
            let answering = origin?.loop == subscriber.loop ? origin?.request ?? 0 : 0
            if answering != 0 { isAnswered = true }
            // A loop that attached after the write was sent may have missed its publication; for
            // the others, envelope numbers reveal a loss.
            if !notified.isEmpty, subscriber.attachedAtRevision < revision,
                notified.contains(subscriber.loop)
            {
                continue
            }
            loopCount += 1
            output.send(
                .event(
                    .init(
                        conversation: self.slots[number].key, event: event, revision: revision,
                        answering: answering,
                        feedSlot: subscriber.feedSlot)),
                to: subscriber.loop)
        }
        if loopCount > 0, case .posted(let message) = event {
            output.trace.record(
                .published, in: self.slots[number].key.hash, sequence: message.sequence,
                count: loopCount)
        }
        if !isAnswered, let origin, notified.isEmpty || !notified.contains(origin.loop) {
            output.send(.answer(origin.request, event.answer, slot: number), to: origin.loop)
        }
    }

    /// Publishes a change to loops of other nodes in the step that stores it. This saves a publish,
    /// and the owner's round trip before it. If the write fails, nothing is published, and the gap
    /// in the envelope numbers starts a repair.
    private mutating func publishWithWrite(_ index: Int, output: inout LoopOutput) {
        let write = self.batch[index]
        // Cursors have no revision, and no request waits for them.
        guard write.revision > 0, self.isCurrent(self.writeContexts[index].continuation) else {
            return
        }
        let number = self.writeContexts[index].continuation.conversation.slot
        // Behind a change that is published only after it is stored, this event would arrive too
        // early. A user that joins with that change could receive it before the answer, and would
        // then miss it.
        let isNext =
            self.slots[number].conversation.storedRevision + 1 == write.revision
            || self.slots[number].publishedThrough + 1 == write.revision
        guard isNext, let event = Conversation.event(of: write.change) else {
            self.slots[number].publishedThrough = 0
            return
        }
        self.slots[number].publishedThrough = write.revision
        let requester = self.writeContexts[index].origin.flatMap { $0.request == 0 ? nil : $0 }
        var loopCount = 0
        for position in 0..<self.slots[number].conversation.subscribers.count {
            let subscriber = self.slots[number].conversation.subscribers[position]
            guard subscriber.loop.incarnation != self.id.incarnation else { continue }
            let notification = Envelope.EventNotification(
                conversation: write.conversation, event: event, revision: write.revision,
                answering: requester?.loop == subscriber.loop ? requester?.request ?? 0 : 0,
                feedSlot: subscriber.feedSlot)
            loopCount += 1
            output.sendWithWrites(.event(notification), to: subscriber.loop)
            self.writeContexts[index].alreadyNotified.insert(subscriber.loop)
        }
        if loopCount > 0, case .posted(let message) = event {
            output.trace.record(
                .publishedWithWrite, in: write.conversation.hash, sequence: message.sequence,
                count: loopCount)
        }
        if let requester, requester.loop.incarnation != self.id.incarnation,
            !self.writeContexts[index].alreadyNotified.contains(requester.loop)
        {
            output.sendWithWrites(
                .answer(requester.request, event.answer, slot: number), to: requester.loop)
            self.writeContexts[index].alreadyNotified.insert(requester.loop)
        }
    }

    /// Retains a change from the moment it is sent. It may be stored and delivered, and then lost
    /// by the store, before the owner learns that it was stored. Nothing is retained if the store
    /// loses no data.
    private mutating func retainBeforeWrite(_ index: Int, at now: ClockReading) {
        let write = self.batch[index]
        guard write.revision > 0, self.isCurrent(self.writeContexts[index].continuation) else {
            return
        }
        self.slots[self.writeContexts[index].continuation.conversation.slot].conversation
            .retain(write.change, write.revision, at: now)
    }

    /// Whether there are writes to send or retained changes to offer.
    var hasWork: Bool { !self.batch.isEmpty || self.unofferedCount > 0 }

    /// Sends the pending writes as one batch. Writes never wait for other writes.
    ///
    /// - Parameter publishesWithWrite: the store publishes to other nodes in the step that stores
    ///   a write.
    mutating func flush(
        publishesWithWrite: Bool = false, at now: ClockReading, output: inout LoopOutput
    ) {
        guard !self.batch.isEmpty else { return }
        if self.limits.retention > .zero {
            for index in self.batch.indices { self.retainBeforeWrite(index, at: now) }
        }
        if publishesWithWrite {
            for index in self.batch.indices { self.publishWithWrite(index, output: &output) }
        }
        self.writesInFlight += self.batch.count
        let capacity = self.batch.count
        self.pendingRequests[
            output.submit(.write(WriteBatch(owner: self.id, writes: self.batch)))] = .write(
                self.batch, self.writeContexts)
        self.batch = []
        self.writeContexts = []
        self.batch.reserveCapacity(capacity)
        self.writeContexts.reserveCapacity(capacity)
    }
}
