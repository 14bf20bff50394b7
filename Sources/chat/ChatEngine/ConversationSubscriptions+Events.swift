import ChatCore
import ChatModel

/// Events from owners, and the repair of a feed that has missed some.
extension ConversationSubscriptions {
    mutating func receive(
        _ notification: Envelope.EventNotification, from owner: LoopID, at now: ClockReading,
        output: inout LoopOutput
    ) {
        guard let slot = self.feeds.slot(of: notification.conversation, near: notification.feedSlot)
        else {
            // The departure was lost: this loop has no subscriber any more.
            output.send(
                .input(.init(conversation: notification.conversation, input: .detach)), to: owner)
            if notification.answering != 0 {
                self.finish(
                    notification.answering, notification.event.answer, at: now, output: &output)
            }
            return
        }
        if notification.revision == 0 {
            // Presence and typing are accepted from the current owner only, not from a former one
            // whose last envelopes arrive late.
            if owner == self.feeds[slot].owner || !notification.event.isOwnerState {
                self.receiveEphemeral(notification.event, slot, at: now)
            }
            return
        }
        switch self.feeds[slot].classify(
            notification.event, revision: notification.revision, answering: notification.answering)
        {
        case .deliver:
            self.deliverChange(
                notification.event, notification.revision, answering: notification.answering, slot,
                at: now, output: &output
            )
            self.deliverOutOfOrder(slot, at: now, output: &output)
            self.releasePages(slot, at: now, output: &output)
        case .drop:
            if notification.answering != 0 {
                self.finish(
                    notification.answering, notification.event.answer, at: now, output: &output)
            }
        case .deferred(let mustRepair):
            if notification.answering != 0 {
                self.deferAnswer(of: notification, in: slot, at: now, output: &output)
            }
            if mustRepair { self.repair(slot, at: now, output: &output) }
        }
    }

    private mutating func deferAnswer(
        of notification: Envelope.EventNotification, in slot: UInt32, at now: ClockReading,
        output: inout LoopOutput
    ) {
        if self.feeds[slot].hasDelivered(notification.event, revision: notification.revision) {
            self.finish(notification.answering, notification.event.answer, at: now, output: &output)
        } else if case .posted(let message) = notification.event {
            self.deferAnswer(
                to: notification.answering, notification.event.answer, until: message.sequence,
                in: slot)
        } else {
            self.requests.deferAnswer(to: notification.answering, notification.event.answer)
        }
    }

    private mutating func receiveEphemeral(_ event: ChatEvent, _ slot: UInt32, at now: ClockReading)
    {
        // The pending answer contains the online users.
        if self.feeds[slot].state.isOpening { return }
        switch event {
        case .presence(let changes):
            if self.feeds[slot].awaitsAttach { return }
            let newChanges = self.feeds[slot].presenceChanges(in: changes, at: now)
            if !newChanges.isEmpty { self.deliver(.presence(newChanges), slot) }
            return
        case .crowd(_, let changes):
            if self.feeds[slot].awaitsAttach { return }
            self.feeds[slot].recordCrowd(changes)
        case .typing(let person, let isTyping):
            let index = self.feeds[slot].typingUsers.firstIndex { $0.id == person.id }
            switch (index, isTyping) {
            case (nil, true): self.feeds[slot].typingUsers.append(person)
            case (nil, false): return
            case (let index?, false): self.feeds[slot].typingUsers.remove(at: index)
            case (_?, true): break
            }
        case .created, .posted, .edited, .deleted, .reacted, .pinned, .unpinned, .joined, .renamed,
            .left, .ended, .updated, .read, .status:
            break
        }
        self.deliver(event, slot)
    }

    private mutating func deliverChange(
        _ event: ChatEvent, _ revision: Revision, answering request: RequestID, _ slot: UInt32,
        at now: ClockReading, output: inout LoopOutput
    ) {
        if self.feeds[slot].hasDelivered(event, revision: revision) {
            self.feeds[slot].watermarks.revision = revision
            if request != 0 { self.finish(request, event.answer, at: now, output: &output) }
            return
        }
        self.feeds[slot].recordDelivered(event, revision: revision, at: now)
        self.deliveryLog.record(event, revision, in: self.feeds.id(at: slot), at: now)
        // Pending reports travel with the next message, so that their status update shares its
        // write.
        if case .posted(let message) = event {
            output.trace.record(
                .received, in: self.feeds[slot].key.hash, sequence: message.sequence)
            self.flushReports(of: slot, output: &output)
        }
        if case .posted(let message) = event, !self.feeds[slot].deferredAnswers.isEmpty {
            self.deliverWithDeferredAnswers(message, first: request, slot, at: now, output: &output)
        } else {
            self.deliver(
                event, slot,
                answering: self.removeAnswered(
                    request, with: event.postedSequence, output: &output)?.context)
        }
    }

    /// Delivers the out-of-order events that are next in sequence now.
    private mutating func deliverOutOfOrder(
        _ slot: UInt32, at now: ClockReading, output: inout LoopOutput
    ) {
        while let early = self.feeds[slot].takeNextOutOfOrder() {
            self.deliverChange(
                early.event, self.feeds[slot].watermarks.revision + 1, answering: early.answering,
                slot,
                at: now, output: &output)
        }
    }

    /// Delivers a message together with the answers that were deferred until it. The first answer
    /// is part of the event, the others follow.
    ///
    /// An answer with a different message under the same number came from an owner that wrote to
    /// another Redis master. Its request is retried.
    private mutating func deliverWithDeferredAnswers(
        _ message: Message, first: RequestID, _ slot: UInt32, at now: ClockReading,
        output: inout LoopOutput
    ) {
        let deferred = self.feeds[slot].takeDeferredAnswers(for: message.sequence)
        var answers: [(context: RequestContextID, isRepeat: Bool)] = []
        for request in [first] + deferred.filter({ $0 != first }) where request != 0 {
            var isRepeat = false
            if request != first,
                case .posted(let other, isRepeat: let repeats)? =
                    self.requests[request]?.deferredAnswer
            {
                guard other.isOfSameSend(as: message) else {
                    self.resend(request, at: now, output: &output)
                    continue
                }
                isRepeat = repeats
            }
            if let context = self.removeAnswered(
                request, with: message.sequence, output: &output)?
                .context
            {
                answers.append((context, isRepeat))
            }
        }
        self.deliver(.posted(message), slot, answering: answers.first?.context)
        for (context, isRepeat) in answers.dropFirst() {
            self.deliveries.append(
                .answer(
                    context: context, .posted(message, isRepeat: isRepeat), isAlsoEvent: true))
        }
    }

    // MARK: Repair

    mutating func repairAll(ownedBy owner: LoopID, at now: ClockReading, output: inout LoopOutput) {
        for slot in self.feeds.openSlots where self.feeds[slot].owner == owner {
            self.repair(slot, at: now, output: &output)
        }
    }

    mutating func repair(_ key: ConversationKey, at now: ClockReading, output: inout LoopOutput) {
        if let slot = self.feeds.slot(of: key) { self.repair(slot, at: now, output: &output) }
    }

    /// Attaches to the owner again because something was missed. The owner learns who subscribes,
    /// and answers with the conversation's current state.
    ///
    /// If a repair is already in progress, its attach request is replaced: the newest gap may lie
    /// after it, so its answer is no longer useful.
    ///
    /// - Parameter afterPause: the store has just failed, so the attach request waits for a
    ///   backoff.
    mutating func repair(
        _ slot: UInt32, afterPause: Bool = false, at now: ClockReading, output: inout LoopOutput
    ) {
        if self.feeds[slot].state.isOpening {
            self.feeds[slot].state = .opening(mustRepair: true)
            return
        }
        self.feeds[slot].startRepair()
        self.removePendingAttach(of: slot)
        // The end of typing may be among the missed events.
        for person in self.feeds[slot].typingUsers { self.deliver(.typing(person, false), slot) }
        self.feeds[slot].typingUsers = []
        let feed = self.feeds.id(at: slot)
        let attachment = ConversationInput.attach(self.feeds[slot].currentAttachment)
        let request = self.requests.insert(
            OwnerRequests.OwnerRequest(
                conversation: self.feeds[slot].key, input: attachment,
                owner: self.feeds[slot].owner, feed: feed, context: nil,
                deadline: .max,
                retryAt: now.monotonic + (afterPause ? Self.refusalBackoff : Self.retryInterval),
                attempts: afterPause ? 0 : 1,
                deliveredThrough: self.feeds[slot].watermarks.deliveredThrough))
        self.feeds[slot].repair?.pendingAttach = request
        if !afterPause {
            self.send(
                attachment, in: self.feeds[slot].key, through: feed, owner: self.feeds[slot].owner,
                request, isRetry: false,
                output: &output)
        }
    }

    /// Removes the attach request without an answer, if there is one.
    mutating func removePendingAttach(of slot: UInt32) {
        if let repair = self.feeds[slot].repair { _ = self.requests.remove(repair.pendingAttach) }
    }

    /// Handles the owner's answer to an attach request: who is online, and the conversation's head
    /// and revision.
    mutating func receiveAttachAnswer(
        to request: RequestID, _ pending: OwnerRequests.OwnerRequest, _ answer: ChatAnswer,
        at now: ClockReading, output: inout LoopOutput
    ) {
        guard let feed = pending.feed, self.feeds.isCurrent(feed),
            var repair = self.feeds[feed.slot].repair, repair.pendingAttach == request
        else { return }
        let slot = feed.slot
        repair.pendingAttach = 0
        let answeredJoins = repair.takeJoinsAwaitingAttach()
        // Their answers must start at a point where the existing subscribers have received
        // everything.
        defer { for join in answeredJoins { self.resend(join, at: now, output: &output) } }
        guard case .joined(let joinResult) = answer else {
            repair.pendingFetch = 0
            // Changes that an earlier attach answer announced may not have been fetched.
            repair.attachedAtRevision = self.feeds[slot].watermarks.revision
            self.feeds[slot].repair = repair
            self.goLive(slot, at: now, output: &output)
            return
        }
        let newChanges = self.feeds[slot].presenceChanges(toReach: joinResult, at: now)
        if joinResult.isCrowd {
            self.deliver(.crowd(online: joinResult.presentCount, []), slot)
        } else if !newChanges.isEmpty {
            self.deliver(.presence(newChanges), slot)
        }
        if joinResult.isEnded, !self.feeds[slot].isEnded { repair.missedEnd = joinResult.ended }
        repair.attachedAtRevision = joinResult.revision
        let isBehind = joinResult.revision > self.feeds[slot].watermarks.revision
        if !isBehind { repair.pendingFetch = 0 }
        self.feeds[slot].repair = repair
        if isBehind {
            self.fetchMissing(slot, output: &output)
        } else {
            self.goLive(slot, at: now, output: &output)
        }
    }

    private mutating func fetchMissing(_ slot: UInt32, output: inout LoopOutput) {
        let request = StoreRequest.changes(
            self.feeds[slot].key, after: self.feeds[slot].watermarks.deliveredThrough,
            since: self.feeds[slot].watermarks.repairedThrough, limit: Self.repairPageLimit)
        let ticket = output.submit(request)
        self.feeds[slot].repair?.pendingFetch = ticket
        self.reads[ticket] = .repair(self.feeds.id(at: slot))
    }

    /// Delivers what was missed, then continues.
    mutating func applyRepair(
        _ slot: UInt32, with page: MessagePage, at now: ClockReading, output: inout LoopOutput
    ) {
        self.feeds[slot].repair?.pendingFetch = 0
        let watermarks = self.feeds[slot].watermarks
        for message in page.amended
        where message.sequence <= watermarks.deliveredThrough
            && message.revision > watermarks.repairedThrough
        {
            for event in message.catchUpEvents {
                self.deliveryLog.record(
                    event, message.revision, in: self.feeds.id(at: slot), at: now)
                self.deliver(event, slot)
            }
        }
        for message in page.messages where message.sequence > watermarks.deliveredThrough {
            self.feeds[slot].watermarks.deliveredThrough = message.sequence
            output.trace.record(
                .received, in: self.feeds[slot].key.hash, sequence: message.sequence)
            self.deliveryLog.record(
                .posted(message), message.revision, in: self.feeds.id(at: slot), at: now)
            self.deliverWithDeferredAnswers(message, first: 0, slot, at: now, output: &output)
        }
        self.feeds[slot].watermarks.recordRepaired(through: page.revision)
        if self.feeds[slot].watermarks.deliveredThrough < page.head, !page.messages.isEmpty {
            self.fetchMissing(slot, output: &output)
        } else if !self.feeds[slot].awaitsAttach {
            self.goLive(slot, at: now, output: &output)
        }
    }

    private mutating func goLive(_ slot: UInt32, at now: ClockReading, output: inout LoopOutput) {
        let missedEnd = self.feeds[slot].endRepair()
        // Requests whose event arrived out of order and was delivered by the repair.
        for early in self.feeds[slot].takeOutOfOrder(
            through: self.feeds[slot].watermarks.revision)
        where early.answering != 0 {
            self.finish(early.answering, early.event.answer, at: now, output: &output)
        }
        self.deliverOutOfOrder(slot, at: now, output: &output)
        for request in self.feeds[slot].takeDeferredAmendments() {
            guard let answer = self.requests[request]?.deferredAnswer else { continue }
            self.finish(request, answer, at: now, output: &output)
        }
        if let missedEnd {
            if !self.feeds[slot].isEnded {
                self.deliver(.ended(by: missedEnd.by, at: missedEnd.at), slot)
            }
            self.feeds[slot].isEnded = true
        }
        self.releasePages(slot, at: now, output: &output)
        // An event in between is still missing, or the owner that answered is behind another owner
        // and needs a moment to notice.
        if self.feeds[slot].hasOutOfOrder {
            self.repair(slot, afterPause: true, at: now, output: &output)
        }
    }
}

extension ChatEvent {
    /// State that stays valid until the owner revokes it.
    fileprivate var isOwnerState: Bool {
        switch self {
        case .presence, .crowd, .typing: true
        case .created, .posted, .edited, .deleted, .reacted, .pinned, .unpinned, .joined, .renamed,
            .left, .ended, .updated, .read, .status:
            false
        }
    }
}

extension Message {
    fileprivate func isOfSameSend(as other: Message) -> Bool {
        self.body.clientMessageID == other.body.clientMessageID
            && self.body.author.id == other.body.author.id
    }
}

extension ChatEvent {
    /// The number of the message that was posted; nil for another event.
    fileprivate var postedSequence: SequenceNumber? {
        if case .posted(let message) = self { message.sequence } else { nil }
    }
}
