import ChatCore
import ChatModel

/// What a loop asks of owners and of the store, and the answers.
extension Listening {
    @discardableResult
    mutating func ask(
        _ input: ConversationInput, in key: ConversationKey, through feed: FeedID?, owner: OwnerID, context: UInt64?,
        patience: Int64 = Self.patience, at now: Moment, outbox: inout Outbox
    ) -> RequestID {
        let request = self.requests.insert(
            Requests.Pending(
                conversation: key, input: input, owner: owner, feed: feed, context: context, deadline: now.monotonic + patience,
                askAgainAt: now.monotonic + Self.askAgainAfter, shownThrough: feed.map { self.shownThrough($0) } ?? 0))
        if !self.requests.isPutOff(request) {
            self.send(input, in: key, through: feed, owner: owner, request, isRepeat: false, outbox: &outbox)
        }
        return request
    }

    func send(
        _ input: ConversationInput, in key: ConversationKey, through feed: FeedID?, owner: OwnerID, _ request: RequestID, isRepeat: Bool,
        outbox: inout Outbox
    ) {
        let place = feed.map { self.feeds[$0.slot].ownerPlace } ?? .max
        outbox.send(
            .input(
                .init(
                    conversation: key, input: input, request: request, isRepeat: isRepeat, ownerPlace: place, feedPlace: feed?.slot ?? .max,
                    turn: self.requests.turn(of: request))),
            to: owner)
    }

    /// Asks again what has waited for long, and gives up what has waited too long.
    mutating func retry(at now: Moment, outbox: inout Outbox) {
        for request in self.requests.takeDue(at: now.monotonic) {
            guard let pending = self.requests[request] else { continue }
            if pending.deadline <= now.monotonic {
                self.finish(request, pending.held ?? .failed(pending.failure), at: now, outbox: &outbox)
            } else if pending.held != nil || pending.input.isOfTheMoment {
                self.requests.postpone(request, until: pending.deadline)
            } else {
                self.askAgain(request, at: now, outbox: &outbox)
            }
        }
    }

    mutating func askAgain(_ request: RequestID, at now: Moment, outbox: inout Outbox) {
        guard let pending = self.requests[request] else { return }
        self.requests.postpone(request, until: now.monotonic + Self.askAgainAfter, isAttempt: true)
        let feed = pending.feed.flatMap { self.feeds.isCurrent($0) ? $0 : nil }
        self.send(
            self.current(pending.input, feed), in: pending.conversation, through: feed, owner: pending.owner, request,
            isRepeat: pending.attempts > 0, outbox: &outbox)
    }

    /// An attachment is told as it is when it leaves, not as it was when it was first asked.
    private func current(_ input: ConversationInput, _ feed: FeedID?) -> ConversationInput {
        guard case .attach = input, let feed else { return input }
        return .attach(self.feeds[feed.slot].knowledge)
    }

    /// Another view: conversations that have another owner in it are attached there, and what waits for an answer is asked there.
    ///
    /// - Parameter isEverythingNew: who has the same owner as before does so too, because that does not know this loop.
    mutating func follow(_ view: View, isEverythingNew: Bool = false, at now: Moment, outbox: inout Outbox) {
        for slot in self.feeds.open {
            let owner = view.owner(of: self.feeds[slot].key)
            guard isEverythingNew || owner != self.feeds[slot].owner else { continue }
            self.feeds[slot].owner = owner
            self.feeds[slot].ownerPlace = .max
            self.repair(slot, at: now, outbox: &outbox)
        }
        for request in self.requests.all {
            guard let pending = self.requests[request] else { continue }
            let owner = view.owner(of: pending.conversation)
            guard isEverythingNew || owner != pending.owner else { continue }
            self.requests.redirect(request, to: owner)
            if pending.input.isOfTheMoment {
                self.moved(request, at: now, outbox: &outbox)
            } else if pending.held == nil {
                // What the last owner has answered needs no other answer, only its place in what the feed shows.
                self.askAgain(request, at: now, outbox: &outbox)
            }
        }
    }

    /// The answers of other nodes may have been lost.
    mutating func askAgain(outside incarnation: UInt64, at now: Moment, outbox: inout Outbox) {
        for request in self.requests.all {
            guard let pending = self.requests[request], pending.owner.incarnation != incarnation, pending.held == nil,
                !pending.input.isOfTheMoment
            else { continue }
            self.askAgain(request, at: now, outbox: &outbox)
        }
    }

    /// Whoever was asked does not own the conversation, by its own view: it, or this loop, will have another in a moment.
    mutating func moved(_ request: RequestID, at now: Moment, outbox: inout Outbox) {
        guard let pending = self.requests[request], pending.held == nil else { return }
        self.requests.failed(request)
        self.putOff(request, pending, by: Self.refusedPause, at: now, outbox: &outbox)
    }

    /// Whoever was asked could not, and is asked again after a pause; what was for the moment is over by then, and nobody waits for it.
    private mutating func putOff(
        _ request: RequestID, _ pending: Requests.Pending, by pause: Int64, at now: Moment, outbox: inout Outbox
    ) {
        if pending.input.isOfTheMoment {
            self.finish(request, .done, at: now, outbox: &outbox)
        } else {
            self.requests.putOff(request, until: now.monotonic + pause, at: now.monotonic)
        }
    }

    // MARK: Answers

    mutating func answered(_ request: RequestID, _ answer: ChatAnswer, place: UInt32, at now: Moment, outbox: inout Outbox) {
        guard let pending = self.requests[request] else { return }
        let feed = pending.feed.flatMap { self.feeds.isCurrent($0) ? $0 : nil }
        if let feed { self.feeds[feed.slot].ownerPlace = place }
        switch answer {
        case .failed(.unavailable) where now.monotonic < pending.deadline, .failed(.outcomeUnknown) where now.monotonic < pending.deadline,
            .failed(.noSuchConversation) where pending.deadline == .max:
            // The owner could not; it, or the next one, may be able to in a moment. And what is listened to was there: where the store has
            // forgotten it, another holds it perhaps.
            self.requests.failed(request, isInDoubt: answer.isInDoubt)
            let pause =
                pending.deadline == .max ? min(Self.repairPause, Self.refusedPause << Int64(min(pending.attempts, 8))) : Self.refusedPause
            self.putOff(request, pending, by: pause, at: now, outbox: &outbox)
            return
        case .failed(.unavailable), .failed(.outcomeUnknown), .failed(.rejected):
            self.requests.failed(request, isInDoubt: answer.isInDoubt)
            guard let pending = self.requests[request] else { return }
            // Whatever an earlier attempt may have done, only that is certain which holds for all of them.
            let isRejected = if case .failed(.rejected) = answer { pending.failure == .unavailable } else { false }
            self.finish(request, .failed(isRejected ? pending.rejection : pending.failure), at: now, outbox: &outbox)
            return
        case .failed(let error) where pending.isInDoubt && pending.input.isSend && error != .conversationEnded:
            // Its author may have left since an earlier attempt was stored. After an end the first attempt is found all the same.
            self.finish(request, .failed(.outcomeUnknown), at: now, outbox: &outbox)
            return
        case .posted(let message):
            guard let feed, self.feeds[feed.slot].state != .opening, message.sequence > self.feeds[feed.slot].shownThrough else { break }
            self.hold(request, answer, message.sequence, feed.slot)
            // An event travels ahead of later answers: this one's was missed.
            if self.feeds[feed.slot].state == .live { self.repair(feed.slot, at: now, outbox: &outbox) }
            return
        case .entered:
            guard case .command(.enter) = pending.input, let feed, self.feeds[feed.slot].attachment != 0 else { break }
            if pending.held == nil { self.feeds[feed.slot].entrances.append(request) }
            self.requests.hold(request, answer)
            return
        default:
            break
        }
        self.finish(request, answer, at: now, outbox: &outbox)
    }

    /// The message has its place among those that the feed has still to show: the answer goes with it.
    mutating func hold(_ request: RequestID, _ answer: ChatAnswer, _ sequence: SequenceNumber, _ slot: UInt32) {
        guard self.requests[request] != nil, !self.feeds[slot].held.contains(where: { $0.request == request }) else { return }
        self.requests.hold(request, answer)
        self.feeds[slot].held.append(Feed.Held(sequence: sequence, request: request))
    }

    mutating func finish(_ request: RequestID, _ answer: ChatAnswer, at now: Moment, outbox: inout Outbox) {
        if self.isOutdated(answer, to: request) {
            if let deadline = self.requests[request]?.deadline, now.monotonic < deadline {
                self.askAgain(request, at: now, outbox: &outbox)
            } else {
                self.finish(request, .failed(.outcomeUnknown), at: now, outbox: &outbox)
            }
            return
        }
        guard let pending = self.requests.remove(request) else { return }
        switch pending.input {
        case .command(.enter(let entrance)):
            self.cameIn(request, pending, entrance, answer, at: now, outbox: &outbox)
        case .attach:
            self.attached(request, pending, answer, at: now, outbox: &outbox)
        default:
            self.deliver(answer, to: pending)
        }
    }

    /// Whether the feed has shown an edit or a deletion of the message that an answer brings, which the answer knows nothing of: a repair
    /// reads the store, and may be ahead of an answer that was given before and came late. Deleted words must not come back.
    private func isOutdated(_ answer: ChatAnswer, to request: RequestID) -> Bool {
        switch answer {
        case .posted(let message), .amended(let message):
            guard let feed = self.requests[request]?.feed, self.feeds.isCurrent(feed),
                message.revision < self.feeds[feed.slot].amendedAt
            else { return false }
            return self.shown.hasAmended(message.sequence, since: message.revision, in: feed)
        default:
            return false
        }
    }

    private mutating func deliver(_ answer: ChatAnswer, to pending: Requests.Pending) {
        guard let context = pending.context else { return }
        var isShown = false
        if case .posted(let message) = answer, let feed = pending.feed, self.feeds.isCurrent(feed) {
            isShown = message.sequence > pending.shownThrough
        }
        self.deliveries.append(.answer(context: context, answer, isShown: isShown))
    }

    // MARK: Reports

    mutating func delivered(_ feed: FeedID, to user: UserID, _ range: ClosedRange<SequenceNumber>) {
        guard self.feeds.isCurrent(feed) else { return }
        if self.feeds[feed.slot].reports.isEmpty {
            self.feeds[feed.slot].reportPeriods = self.feeds[feed.slot].isBusy ? Feed.busyReportPeriods : 1
        }
        if !self.feeds[feed.slot].isReporting {
            self.feeds[feed.slot].isReporting = true
            self.reporting.append(feed)
        }
        self.feeds[feed.slot].report(DeliveryReport(user: user, range: range))
    }

    /// To be called once a period: what no message has taken along in its time leaves alone.
    mutating func report(outbox: inout Outbox) {
        var waiting: [FeedID] = []
        swap(&waiting, &self.reporting)
        for feed in waiting where self.feeds.isCurrent(feed) {
            if self.feeds[feed.slot].reports.isEmpty || self.feeds[feed.slot].reportPeriods == 0 {
                self.feeds[feed.slot].isReporting = false
                self.report(feed.slot, outbox: &outbox)
            } else {
                self.feeds[feed.slot].reportPeriods -= 1
                self.reporting.append(feed)
            }
        }
        outbox.hurry()
    }

    /// To an owner elsewhere reports go along with other mail: by themselves each message would have a parcel more.
    mutating func report(_ slot: UInt32, outbox: inout Outbox) {
        guard !self.feeds[slot].reports.isEmpty else { return }
        for report in self.feeds[slot].reports {
            outbox.sendAlong(self.input(.delivered(report.user, report.range), slot), to: self.feeds[slot].owner)
        }
        self.feeds[slot].noteReported()
    }
}

extension Requests.Pending {
    /// What is answered when its time is over.
    fileprivate var failure: ChatError {
        self.input.isChange && (self.isOutstanding || self.isInDoubt) ? .outcomeUnknown : .unavailable
    }

    /// What is answered when the store has rejected it, and no attempt is in doubt.
    fileprivate var rejection: ChatError { self.input.isChange ? .rejected : .unavailable }
}

extension ChatAnswer {
    fileprivate var isInDoubt: Bool {
        if case .failed(.outcomeUnknown) = self { true } else { false }
    }
}

extension ConversationInput {
    /// Whether its sender has to know what became of it. To come in, or to look, may be asked again at any time.
    fileprivate var isChange: Bool {
        switch self {
        case .command(.post), .command(.edit), .command(.delete), .command(.read), .command(.readThrough), .command(.part), .command(.end):
            true
        default:
            false
        }
    }

    /// Asked again it would come too late, or overtake what was said since.
    var isOfTheMoment: Bool {
        if case .command(.typing) = self { true } else { false }
    }
}
