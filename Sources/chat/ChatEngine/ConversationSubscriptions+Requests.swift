import ChatCore
import ChatModel
import Cluster

/// Requests to owners and to the store, and their answers.
extension ConversationSubscriptions {
    /// - Parameter acceptedAt: see `Message.acceptedAt`; 0 for a request that is not a send.
    @discardableResult
    mutating func submit(
        _ input: ConversationInput, in key: ConversationKey, through feed: FeedID?, owner: LoopID,
        context: RequestContextID?,
        acceptedAt: Int64 = 0, timeout: Int64 = Self.requestTimeout, at now: ClockReading,
        output: inout LoopOutput
    ) -> RequestID {
        let request = self.requests.insert(
            OwnerRequests.OwnerRequest(
                conversation: key, input: input, owner: owner, feed: feed, context: context,
                deadline: now.monotonic + timeout,
                retryAt: now.monotonic + Self.retryInterval,
                deliveredThrough: feed.map { self.deliveredThrough($0) } ?? 0,
                acceptedAt: acceptedAt))
        if !self.requests.isBackedOff(request) {
            self.send(
                input, in: key, through: feed, owner: owner, request, isRetry: false,
                output: &output)
        }
        return request
    }

    func send(
        _ input: ConversationInput, in key: ConversationKey, through feed: FeedID?, owner: LoopID,
        _ request: RequestID, isRetry: Bool,
        output: inout LoopOutput
    ) {
        let ownerSlot = feed.map { self.feeds[$0.slot].ownerSlot } ?? .max
        output.send(
            .input(
                .init(
                    conversation: key, input: input, request: request, isRetry: isRetry,
                    ownerSlot: ownerSlot, feedSlot: feed?.slot ?? .max,
                    sendOrder: self.requests.sendOrder(of: request),
                    acceptedAt: self.requests.acceptedAt(of: request))),
            to: owner)
    }

    /// Retries requests without an answer, and ends those that timed out.
    mutating func retryDue(at now: ClockReading, output: inout LoopOutput) {
        for request in self.requests.takeDue(at: now.monotonic) {
            guard let pending = self.requests[request] else { continue }
            if pending.deadline <= now.monotonic {
                self.finish(request, pending.answerAtDeadline, at: now, output: &output)
            } else if pending.deferredAnswer != nil || pending.input.isTransient {
                self.requests.postpone(request, until: pending.deadline)
            } else {
                self.resend(request, at: now, output: &output)
            }
        }
    }

    mutating func resend(_ request: RequestID, at now: ClockReading, output: inout LoopOutput) {
        guard let pending = self.requests[request] else { return }
        if pending.input.isSend {
            output.trace.record(.resent, in: pending.conversation.hash, request: request)
        }
        self.requests.postpone(request, until: now.monotonic + Self.retryInterval, isAttempt: true)
        let feed = pending.feed.flatMap { self.feeds.isCurrent($0) ? $0 : nil }
        self.send(
            self.refreshed(pending.input, feed), in: pending.conversation, through: feed,
            owner: pending.owner, request,
            isRetry: pending.attempts > 0, output: &output)
    }

    /// An attach request carries the feed's state at the time of sending, not of the first attempt.
    private func refreshed(_ input: ConversationInput, _ feed: FeedID?) -> ConversationInput {
        guard case .attach = input, let feed else { return input }
        return .attach(self.feeds[feed.slot].currentAttachment)
    }

    /// Follows a new view: attaches conversations to their new owners, and sends pending requests
    /// there.
    ///
    /// - Parameter reattachesAll: repeats this for unchanged owners too, because they do not know
    ///   this loop's new incarnation.
    mutating func follow(
        _ view: View, reattachesAll: Bool = false, at now: ClockReading,
        output: inout LoopOutput
    ) {
        for slot in self.feeds.openSlots {
            let owner = view.owner(of: self.feeds[slot].key)
            guard reattachesAll || owner != self.feeds[slot].owner else { continue }
            self.feeds[slot].owner = owner
            self.feeds[slot].ownerSlot = .max
            self.repair(slot, at: now, output: &output)
        }
        for request in self.requests.all {
            guard let pending = self.requests[request] else { continue }
            let owner = view.owner(of: pending.conversation)
            guard reattachesAll || owner != pending.owner else { continue }
            self.requests.redirect(request, to: owner)
            if pending.input.isTransient {
                self.handleNotOwner(request, at: now, output: &output)
            } else if pending.deferredAnswer == nil {
                // A request that the former owner answered needs no other answer, only its place in
                // the feed's order.
                self.resend(request, at: now, output: &output)
            }
        }
    }

    /// Retries all requests to other nodes, because their answers may have been lost.
    mutating func resendAll(
        outside incarnation: UInt64, at now: ClockReading, output: inout LoopOutput
    ) {
        for request in self.requests.all {
            guard let pending = self.requests[request], pending.owner.incarnation != incarnation,
                pending.deferredAnswer == nil,
                !pending.input.isTransient
            else { continue }
            self.resend(request, at: now, output: &output)
        }
    }

    /// Handles an answer from a loop that does not own the conversation by its view. That loop, or
    /// this one, will follow another view soon.
    mutating func handleNotOwner(
        _ request: RequestID, at now: ClockReading, output: inout LoopOutput
    ) {
        guard let pending = self.requests[request], pending.deferredAnswer == nil else { return }
        self.requests.attemptFailed(request)
        self.backOff(request, pending, by: Self.refusalBackoff, at: now, output: &output)
    }

    /// Retries a refused request after a backoff. A transient one is outdated by then, so it ends
    /// as done.
    private mutating func backOff(
        _ request: RequestID, _ pending: OwnerRequests.OwnerRequest, by pause: Int64,
        at now: ClockReading, output: inout LoopOutput
    ) {
        if pending.input.isTransient {
            self.finish(request, .done, at: now, output: &output)
        } else {
            self.requests.backOff(request, until: now.monotonic + pause, at: now.monotonic)
        }
    }

    // MARK: Answers

    mutating func receiveAnswer(
        to request: RequestID, _ answer: ChatAnswer, slot ownerSlot: UInt32, at now: ClockReading,
        output: inout LoopOutput
    ) {
        guard let pending = self.requests[request] else { return }
        let feed = pending.feed.flatMap { self.feeds.isCurrent($0) ? $0 : nil }
        if let feed { self.feeds[feed.slot].ownerSlot = ownerSlot }
        switch answer {
        case .failed(.unavailable) where now.monotonic < pending.deadline,
            .failed(.outcomeUnknown) where now.monotonic < pending.deadline,
            .failed(.rejected)
        where now.monotonic < pending.deadline && !pending.input.changesConversation,
            .failed(.noSuchConversation) where pending.deadline == .max:
            // The owner was unavailable; it, or the next one, may succeed soon. A subscribed
            // conversation did exist, so if the store lost it, another loop may have retained it.
            self.requests.attemptFailed(request, isInDoubt: answer.isOutcomeUnknown)
            let pause =
                pending.deadline == .max
                ? min(
                    Self.repairBackoffLimit, Self.refusalBackoff << Int64(min(pending.attempts, 8)))
                : Self.refusalBackoff
            self.backOff(request, pending, by: pause, at: now, output: &output)
            return
        case .failed(.unavailable), .failed(.outcomeUnknown), .failed(.rejected):
            self.requests.attemptFailed(request, isInDoubt: answer.isOutcomeUnknown)
            guard let pending = self.requests[request] else { return }
            // An earlier attempt may have succeeded; the error must be true for all attempts.
            let isRejected =
                if case .failed(.rejected) = answer { pending.timeoutError == .unavailable } else {
                    false
                }
            self.finish(
                request, .failed(isRejected ? pending.rejectedError : pending.timeoutError),
                at: now, output: &output)
            return
        case .failed(let error)
        where pending.isInDoubt && pending.input.isSend && error != .conversationEnded:
            // The author may have left after an earlier attempt was stored. After the end of a
            // conversation the first attempt is still found.
            self.finish(request, .failed(.outcomeUnknown), at: now, output: &output)
            return
        case .posted(let message, _):
            guard let feed, !self.feeds[feed.slot].state.isOpening,
                message.sequence > self.feeds[feed.slot].watermarks.deliveredThrough
            else { break }
            self.deferAnswer(to: request, answer, until: message.sequence, in: feed.slot)
            // An event is sent before later answers, so this message's event was lost.
            if self.feeds[feed.slot].state.isLive {
                self.repair(feed.slot, at: now, output: &output)
            }
            return
        case .amended(let message):
            // Its event was lost, and the repair may show only a later state of the message. So the
            // answer does not rely on an event.
            guard let feed, !self.feeds[feed.slot].state.isOpening,
                message.revision > self.feeds[feed.slot].watermarks.revision
            else { break }
            self.requests.deferAnswer(to: request, answer)
            self.feeds[feed.slot].deferAmendment(request)
            if self.feeds[feed.slot].state.isLive {
                self.repair(feed.slot, at: now, output: &output)
            }
            return
        case .joined:
            guard case .command(.joinAndSubscribe) = pending.input, let feed,
                self.feeds[feed.slot].awaitsAttach
            else { break }
            if pending.deferredAnswer == nil {
                self.feeds[feed.slot].repair?.joinsAwaitingAttach.append(request)
            }
            self.requests.deferAnswer(to: request, answer)
            return
        default:
            break
        }
        self.finish(request, answer, at: now, output: &output)
    }

    /// Defers an answer until the feed has delivered the message that it names.
    mutating func deferAnswer(
        to request: RequestID, _ answer: ChatAnswer, until sequence: SequenceNumber, in slot: UInt32
    ) {
        guard self.requests[request] != nil,
            !self.feeds[slot].deferredAnswers.contains(where: { $0.request == request })
        else { return }
        self.requests.deferAnswer(to: request, answer)
        self.feeds[slot].deferredAnswers.append(
            Feed.DeferredAnswer(sequence: sequence, request: request))
    }

    mutating func finish(
        _ request: RequestID, _ answer: ChatAnswer, at now: ClockReading, output: inout LoopOutput
    ) {
        if self.isOutdated(answer, to: request) {
            if let deadline = self.requests[request]?.deadline, now.monotonic < deadline {
                self.resend(request, at: now, output: &output)
            } else {
                self.finish(request, .failed(.outcomeUnknown), at: now, output: &output)
            }
            return
        }
        guard
            let pending = self.removeAnswered(
                request, with: answer.postedSequence, output: &output)
        else { return }
        switch pending.input {
        case .command(.joinAndSubscribe(let joinRequest)):
            self.receiveJoinAnswer(
                to: request, pending, joinRequest, answer, at: now, output: &output)
        case .attach:
            self.receiveAttachAnswer(to: request, pending, answer, at: now, output: &output)
        default:
            self.deliver(answer, to: pending)
        }
    }

    /// Removes a request that has its answer; nil if there is no such request.
    ///
    /// - Parameter message: the number of the message that the answer contains. The answer itself
    ///   would have to be built for every delivery.
    // Inlined: a call would copy the request, which is a large value.
    @inline(__always)
    mutating func removeAnswered(
        _ request: RequestID, with message: SequenceNumber?, output: inout LoopOutput
    ) -> OwnerRequests.OwnerRequest? {
        guard request != 0, let pending = self.requests.remove(request) else { return nil }
        if let message {
            output.trace.record(
                .answered, in: pending.conversation.hash, sequence: message, request: request)
        } else if pending.input.isSend {
            output.trace.record(.failed, in: pending.conversation.hash, request: request)
        }
        return pending
    }

    /// Whether the feed has delivered an edit or a deletion that the answer's message lacks. A
    /// repair reads the store and can be ahead of an answer that was sent earlier. Deleted content
    /// must not reappear.
    private func isOutdated(_ answer: ChatAnswer, to request: RequestID) -> Bool {
        switch answer {
        case .posted(let message, _), .amended(let message):
            guard let feed = self.requests[request]?.feed, self.feeds.isCurrent(feed),
                message.revision < self.feeds[feed.slot].watermarks.amendedThrough
            else { return false }
            return self.deliveryLog.hasAmended(message.sequence, since: message.revision, in: feed)
        default:
            return false
        }
    }

    private mutating func deliver(_ answer: ChatAnswer, to pending: OwnerRequests.OwnerRequest) {
        guard let context = pending.context else { return }
        var (isAlsoEvent, isLate) = (false, false)
        if let feed = pending.feed, self.feeds.isCurrent(feed) {
            switch answer {
            case .posted(let message, _):
                isAlsoEvent = message.sequence > pending.deliveredThrough
                let head = self.feeds[feed.slot].watermarks.deliveredThrough
                isLate = pending.deferredAnswer != nil && message.sequence > head
            case .amended(let message):
                // Sent instead of the event, it would precede changes that the feed has missed.
                isAlsoEvent = message.revision > self.feeds[feed.slot].watermarks.revision
            default:
                break
            }
        }
        self.deliveries.append(
            .answer(context: context, answer, isAlsoEvent: isAlsoEvent, isLate: isLate))
    }
}

extension OwnerRequests.OwnerRequest {
    /// The error that a timed-out request ends with.
    fileprivate var timeoutError: ChatError {
        self.input.changesConversation && (self.isOutstanding || self.isInDoubt)
            ? .outcomeUnknown : .unavailable
    }

    /// A join that was answered during a repair must be repeated: the user may have been removed
    /// since. Other answers remain true.
    fileprivate var answerAtDeadline: ChatAnswer {
        if case .command(.joinAndSubscribe) = self.input { return .failed(self.timeoutError) }
        return self.deferredAnswer ?? .failed(self.timeoutError)
    }

    /// The error for a rejected write, if no attempt is in doubt.
    fileprivate var rejectedError: ChatError {
        self.input.changesConversation ? .rejected : .unavailable
    }
}

extension ChatAnswer {
    fileprivate var isOutcomeUnknown: Bool {
        if case .failed(.outcomeUnknown) = self { true } else { false }
    }
}

extension ConversationInput {
    /// Whether the sender must learn the outcome. Subscribing and reading can be repeated at any
    /// time.
    fileprivate var changesConversation: Bool {
        switch self {
        case .command(.post), .command(.edit), .command(.delete), .command(.read),
            .command(.readThrough), .command(.leave), .command(.end), .command(.addMember),
            .command(.removeMember), .command(.react), .command(.pin), .command(.unpin),
            .command(.update):
            true
        default:
            false
        }
    }

    /// Whether a retry would be outdated, or would overtake newer input.
    var isTransient: Bool {
        if case .command(.typing) = self { true } else { false }
    }
}

extension ChatAnswer {
    /// The number of the message that was posted; nil for another answer.
    fileprivate var postedSequence: SequenceNumber? {
        if case .posted(let message, _) = self { message.sequence } else { nil }
    }
}
