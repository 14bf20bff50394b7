import ChatCore
import ChatModel

/// What a loop hears of the conversations that it listens to, and how it mends what it has missed.
extension Listening {
    mutating func heard(_ news: Envelope.News, from owner: OwnerID, at now: Moment, outbox: inout Outbox) {
        guard let slot = self.feeds.slot(of: news.conversation, near: news.feedPlace) else {
            // The farewell was lost: nobody listens here any more.
            outbox.send(.input(.init(conversation: news.conversation, input: .detach)), to: owner)
            if news.answering != 0 { self.finish(news.answering, news.event.answer, at: now, outbox: &outbox) }
            return
        }
        if news.revision == 0 {
            // Who is there and who is typing is for the owner to say, not for one that was it and whose last words come late.
            if owner == self.feeds[slot].owner || !news.event.isOfTheOwner { self.heardByTheWay(news.event, slot, at: now) }
            return
        }
        switch self.feeds[slot].judge(news.event, revision: news.revision, answering: news.answering) {
        case .deliver:
            self.show(news.event, news.revision, answering: news.answering, slot, at: now, outbox: &outbox)
            self.showEarly(slot, at: now, outbox: &outbox)
            self.releasePages(slot, at: now, outbox: &outbox)
        case .drop:
            if news.answering != 0 { self.finish(news.answering, news.event.answer, at: now, outbox: &outbox) }
        case .hold(let mustRepair):
            if news.answering != 0 { self.hold(news, slot, at: now, outbox: &outbox) }
            if mustRepair { self.repair(slot, at: now, outbox: &outbox) }
        }
    }

    private mutating func hold(_ news: Envelope.News, _ slot: UInt32, at now: Moment, outbox: inout Outbox) {
        if self.feeds[slot].hasShown(news.event, revision: news.revision) {
            self.finish(news.answering, news.event.answer, at: now, outbox: &outbox)
        } else if case .posted(let message) = news.event {
            self.hold(news.answering, news.event.answer, message.sequence, slot)
        } else {
            self.requests.hold(news.answering, news.event.answer)
        }
    }

    private mutating func heardByTheWay(_ event: ChatEvent, _ slot: UInt32, at now: Moment) {
        if case .opening = self.feeds[slot].state { return }  // The answer that is under way says who is there.
        switch event {
        case .presence(let changes):
            guard self.feeds[slot].attachment == 0 else { return }
            let news = self.feeds[slot].news(in: changes, at: now)
            if !news.isEmpty { self.deliver(.presence(news), slot) }
            return
        case .crowd(_, let changes):
            guard self.feeds[slot].attachment == 0 else { return }
            self.feeds[slot].noteCrowd(changes)
        case .typing(let person, let isTyping):
            let place = self.feeds[slot].typists.firstIndex { $0.id == person.id }
            switch (place, isTyping) {
            case (nil, true): self.feeds[slot].typists.append(person)
            case (nil, false): return
            case (let place?, false): self.feeds[slot].typists.remove(at: place)
            case (_?, true): break
            }
        default:
            break
        }
        self.deliver(event, slot)
    }

    private mutating func show(
        _ event: ChatEvent, _ revision: Revision, answering request: RequestID, _ slot: UInt32, at now: Moment, outbox: inout Outbox
    ) {
        if self.feeds[slot].hasShown(event, revision: revision) {
            self.feeds[slot].revision = revision
            if request != 0 { self.finish(request, event.answer, at: now, outbox: &outbox) }
            return
        }
        self.feeds[slot].note(event, revision: revision, at: now)
        self.shown.note(event, revision, in: self.feeds.name(slot), at: now)
        // What the sockets have taken so far rides with the next message: its status leaves in the same write.
        if case .posted = event { self.report(slot, outbox: &outbox) }
        if case .posted(let message) = event, !self.feeds[slot].held.isEmpty {
            self.showHeld(message, first: request, slot, at: now, outbox: &outbox)
        } else {
            self.deliver(event, slot, answering: request == 0 ? nil : self.requests.remove(request)?.context)
        }
    }

    /// Shows what came early and whose time has come.
    private mutating func showEarly(_ slot: UInt32, at now: Moment, outbox: inout Outbox) {
        while let early = self.feeds[slot].takeNext() {
            self.show(early.event, self.feeds[slot].revision + 1, answering: early.answering, slot, at: now, outbox: &outbox)
        }
    }

    /// Shows a message with the answers that waited for it: one goes with it, the others follow.
    ///
    /// An answer that named another message under this number came from an owner that writes to another master: it is asked for again.
    private mutating func showHeld(_ message: Message, first: RequestID, _ slot: UInt32, at now: Moment, outbox: inout Outbox) {
        let held = self.feeds[slot].takeHeld(message.sequence)
        var contexts: [UInt64] = []
        for request in [first] + held.filter({ $0 != first }) where request != 0 {
            if request != first, case .posted(let other) = self.requests[request]?.held, !other.isOfSameSend(as: message) {
                self.askAgain(request, at: now, outbox: &outbox)
                continue
            }
            if let context = self.requests.remove(request)?.context { contexts.append(context) }
        }
        self.deliver(.posted(message), slot, answering: contexts.first)
        for context in contexts.dropFirst() { self.deliveries.append(.answer(context: context, .posted(message), isShown: true)) }
    }

    // MARK: Repair

    mutating func repairAll(ownedBy owner: OwnerID, at now: Moment, outbox: inout Outbox) {
        for slot in self.feeds.open where self.feeds[slot].owner == owner { self.repair(slot, at: now, outbox: &outbox) }
    }

    mutating func repair(_ key: ConversationKey, at now: Moment, outbox: inout Outbox) {
        if let slot = self.feeds.slot(of: key) { self.repair(slot, at: now, outbox: &outbox) }
    }

    /// Something was missed: the owner is told who listens, and says what there is.
    ///
    /// A feed under repair is asked for again: what was missed last may lie behind the attachment that is under way,
    /// whose answer is therefore no longer wanted.
    ///
    /// - Parameter isLater: the store has just failed, and is given a moment.
    mutating func repair(_ slot: UInt32, isLater: Bool = false, at now: Moment, outbox: inout Outbox) {
        if case .opening = self.feeds[slot].state {
            self.feeds[slot].mustRepair = true
            return
        }
        if case .live = self.feeds[slot].state {
            self.feeds[slot].state = .repairing
            self.feeds[slot].mendedThrough = max(self.feeds[slot].mendedThrough, self.feeds[slot].revision)
        }
        _ = self.requests.remove(self.feeds[slot].attachment)
        // That somebody has stopped typing may be what was missed.
        for person in self.feeds[slot].typists { self.deliver(.typing(person, false), slot) }
        self.feeds[slot].typists = []
        let feed = self.feeds.name(slot)
        let attachment = ConversationInput.attach(self.feeds[slot].knowledge)
        let request = self.requests.insert(
            Requests.Pending(
                conversation: self.feeds[slot].key, input: attachment, owner: self.feeds[slot].owner, feed: feed, context: nil,
                deadline: .max,
                askAgainAt: now.monotonic + (isLater ? Self.refusedPause : Self.askAgainAfter), attempts: isLater ? 0 : 1,
                shownThrough: self.feeds[slot].shownThrough))
        self.feeds[slot].attachment = request
        if !isLater {
            self.send(
                attachment, in: self.feeds[slot].key, through: feed, owner: self.feeds[slot].owner, request, isRepeat: false,
                outbox: &outbox)
        }
    }

    /// The owner's answer to an attachment: who is there, and how far the conversation has come.
    mutating func attached(_ request: RequestID, _ pending: Requests.Pending, _ answer: ChatAnswer, at now: Moment, outbox: inout Outbox) {
        guard let feed = pending.feed, self.feeds.isCurrent(feed), self.feeds[feed.slot].attachment == request else { return }
        let slot = feed.slot
        self.feeds[slot].attachment = 0
        guard case .entered(let entered) = answer else {
            self.feeds[slot].fetch = 0
            // Of what an earlier answer told something may not have been fetched.
            self.feeds[slot].attachedAt = self.feeds[slot].revision
            self.goLive(slot, at: now, outbox: &outbox)
            self.letIn(slot, at: now, outbox: &outbox)
            return
        }
        let news = self.feeds[slot].news(towards: entered, at: now)
        if entered.isCrowd {
            self.deliver(.crowd(online: entered.presentCount, []), slot)
        } else if !news.isEmpty {
            self.deliver(.presence(news), slot)
        }
        if entered.isEnded, !self.feeds[slot].isEnded { self.feeds[slot].ending = entered.ended }
        self.feeds[slot].attachedAt = entered.revision
        if entered.revision > self.feeds[slot].revision {
            self.fetchMissing(slot, outbox: &outbox)
        } else {
            self.feeds[slot].fetch = 0
            self.goLive(slot, at: now, outbox: &outbox)
        }
        self.letIn(slot, at: now, outbox: &outbox)
    }

    /// Those who were let in while the owner was asked who is there ask again: what they are told must begin where those
    /// who are in have been told everything.
    private mutating func letIn(_ slot: UInt32, at now: Moment, outbox: inout Outbox) {
        let requests = self.feeds[slot].entrances
        self.feeds[slot].entrances = []
        for request in requests { self.askAgain(request, at: now, outbox: &outbox) }
    }

    private mutating func fetchMissing(_ slot: UInt32, outbox: inout Outbox) {
        let request = StoreRequest.changes(
            self.feeds[slot].key, after: self.feeds[slot].shownThrough, since: self.feeds[slot].mendedThrough, limit: Self.repairPage)
        let ticket = outbox.request(request)
        self.feeds[slot].fetch = ticket
        self.reads[ticket] = .repair(self.feeds.name(slot))
    }

    /// Shows what was missed, and goes on.
    mutating func mend(_ slot: UInt32, with page: Page, at now: Moment, outbox: inout Outbox) {
        self.feeds[slot].fetch = 0
        let shown = self.feeds[slot].shownThrough
        for message in page.amended where message.sequence <= shown && message.revision > self.feeds[slot].mendedThrough {
            let event: ChatEvent = message.state == .deleted ? .deleted(message) : .edited(message)
            self.shown.note(event, message.revision, in: self.feeds.name(slot), at: now)
            self.deliver(event, slot)
        }
        for message in page.messages where message.sequence > shown {
            self.feeds[slot].shownThrough = message.sequence
            self.shown.note(.posted(message), message.revision, in: self.feeds.name(slot), at: now)
            self.showHeld(message, first: 0, slot, at: now, outbox: &outbox)
        }
        self.feeds[slot].mendedThrough = max(self.feeds[slot].mendedThrough, page.revision)
        self.feeds[slot].amendedAt = max(self.feeds[slot].amendedAt, self.feeds[slot].mendedThrough)
        if self.feeds[slot].shownThrough < page.head, !page.messages.isEmpty {
            self.fetchMissing(slot, outbox: &outbox)
        } else if self.feeds[slot].attachment == 0 {
            self.goLive(slot, at: now, outbox: &outbox)
        }
    }

    private mutating func goLive(_ slot: UInt32, at now: Moment, outbox: inout Outbox) {
        self.feeds[slot].state = .live
        self.feeds[slot].revision = max(self.feeds[slot].revision, self.feeds[slot].attachedAt)
        // What came early and has been shown by the repair: who asked for it is answered.
        for early in self.feeds[slot].forget(through: self.feeds[slot].revision) where early.answering != 0 {
            self.finish(early.answering, early.event.answer, at: now, outbox: &outbox)
        }
        self.showEarly(slot, at: now, outbox: &outbox)
        if let ending = self.feeds[slot].ending {
            self.feeds[slot].ending = nil
            if !self.feeds[slot].isEnded { self.deliver(.ended(by: ending.by, at: ending.at), slot) }
            self.feeds[slot].isEnded = true
        }
        self.releasePages(slot, at: now, outbox: &outbox)
        // Something between is missing still; or the owner that answered knows less than another has told, and needs a moment to notice.
        if self.feeds[slot].hasEarly { self.repair(slot, isLater: true, at: now, outbox: &outbox) }
    }
}

extension ChatEvent {
    /// What holds until its owner takes it back.
    fileprivate var isOfTheOwner: Bool {
        switch self {
        case .presence, .crowd, .typing: true
        default: false
        }
    }
}

extension Message {
    fileprivate func isOfSameSend(as other: Message) -> Bool {
        self.body.clientID == other.body.clientID && self.body.author.id == other.body.author.id
    }
}
