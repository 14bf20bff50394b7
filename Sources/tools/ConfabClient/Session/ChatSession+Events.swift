import Bytes
import EventLoop

/// Events from the server.
extension ChatSession {
    mutating func received(_ text: [UInt8], at now: MonotonicTime, into steps: inout [ClientStep]) {
        self.receivedAt = now
        self.perform(self.dialect.receive(text), at: now, into: &steps)
    }

    mutating func handle(
        _ event: ServerEvent, at now: MonotonicTime, into steps: inout [ClientStep]
    ) {
        guard self.connection != .closed, self.connection != .refused else { return }
        switch event {
        case .joined(let answer): self.joined(answer, at: now, into: &steps)
        case .message(let message): self.receive(message, at: now, into: &steps)
        case .direct(let message, let to):
            var message = message
            message.isOwn = self.isOwn(message)
            steps.append(.emit(.direct(message, to: to)))
        case .stored(let localID, let id, let time):
            self.itemStored(localID, id, time, at: now, into: &steps)
        case .sendFailed(let localID, let reason, let retryAfter):
            self.sendFailed(localID, reason, retryAfter, at: now, into: &steps)
        case .page(let messages): self.received(page: messages, at: now, into: &steps)
        case .members(let names):
            if let request = self.takeRequest({ $0 == .command(.members) }) {
                self.answer(request, .members(names), &steps)
            }
        case .edited(let message):
            var message = message
            message.isEdited = true
            self.amended(message, .edited(self.owned(message)), at: now, into: &steps)
        case .deleted(let message):
            var message = message
            message.state = .deleted
            message.text = ""
            self.amended(message, .deleted(self.owned(message)), at: now, into: &steps)
        case .reactions, .reacted, .pinned, .unpinned, .pins, .found:
            self.handleFeature(event, at: now, into: &steps)
        case .typing(let user, let name, let isTyping):
            self.recordTyping(user, name, isTyping, at: now, into: &steps)
        case .status(let id, let status):
            self.advance(id, to: status, into: &steps)
        case .readThrough(let id):
            let own = self.timeline.messages.last { $0.isOwn && $0.id <= id }
            if let own { self.advance(own.id, to: .read, into: &steps) }
        case .read(let user, let ids):
            steps.append(.emit(.receipt(ids: ids, status: .read, user: user)))
        case .presence(let user, let name, let isOnline):
            if !isOnline { self.recordTyping(user, name, false, at: now, into: &steps) }
            guard user != self.user else { return }
            let change = UserPresence(user: user, name: name, isOnline: isOnline)
            steps.append(.emit(.presence([change], online: nil)))
        case .onlineCount(let online): steps.append(.emit(.presence([], online: online)))
        case .requestFailed(let request, let reason, let retryAfter):
            self.requestFailed(request, reason, retryAfter, at: now, into: &steps)
        case .truncated(let oldestID) where self.timeline.lastID == nil:
            // Nothing was received before: the application chose the start.
            let text = """
                Some messages are no longer available: the server retains them from \
                #\(oldestID) on.
                """
            steps.append(.emit(.error(reason: text, action: "connect")))
        case .truncated(let oldestID):
            self.deliver(
                self.timeline.truncated(from: oldestID, at: now), at: now, into: &steps)
        case .reset(let head) where self.timeline.lastID == nil:
            let text = """
                The server's history was replaced, for instance by a restored backup. Its newest \
                message is #\(head). Later messages are shown.
                """
            steps.append(.emit(.error(reason: text, action: "connect")))
        case .reset(let head):
            if self.timeline.replaced(head: head) {
                self.readID = min(self.readID, head)
                self.reportedReadID = min(self.reportedReadID, head)
                self.join(fromStart: true, at: now, into: &steps)
            }
        case .identified(let user): self.user = user
        case .notice(let text): steps.append(.emit(.notice(text)))
        case .conversationEnded(let user):
            guard !self.isEnded else { return }
            self.isEnded = true
            steps.append(.emit(.ended(by: user)))
        case .conversationUpdated(let properties, let user):
            steps.append(.emit(.updated(properties, by: user)))
        case .ended(let reason):
            steps.append(.close)
            self.refuse(SafeText.line(reason, limit: 300), into: &steps)
        case .malformed:
            let title = self.dialect.dialect.title
            steps.append(
                .emit(
                    .error(
                        reason: """
                            The server sent a frame that is not part of the \(title) protocol.
                            """, action: "frame")))
        }
    }

    /// The server has let the client in, and has reported the other users' presence.
    private mutating func joined(
        _ answer: JoinAnswer, at now: MonotonicTime, into steps: inout [ClientStep]
    ) {
        guard let join = self.pendingJoin else { return }
        // The answer to the join before the server's history was replaced.
        if join.after == nil, case .replaying = answer { return }
        self.pendingJoin = nil
        self.joinRetryAt = nil
        self.hasRequestedToken = false
        let events = self.timeline.joined(self.marked(answer, into: &steps), at: now)
        if self.onlineSince == nil {
            self.onlineSince = now
            self.hasJoined = true
            // The window comes first, so that it is loaded when the application learns the state.
            self.deliver(events, at: now, into: &steps)
            steps.append(.emit(.state(StateChange(state: .online))))
        } else {
            self.deliver(events, at: now, into: &steps)
        }
        self.flush(at: now, into: &steps)
    }

    /// Marks the user's own messages.
    private mutating func marked(_ answer: JoinAnswer, into steps: inout [ClientStep]) -> JoinAnswer
    {
        switch answer {
        case .newest(let messages, let rev):
            .newest(messages.map { self.takeItem(of: $0, into: &steps).0 }, rev: rev)
        case .missed(let messages):
            .missed(messages.map { self.takeItem(of: $0, into: &steps).0 })
        case .replaying, .withoutHistory: answer
        }
    }

    // MARK: Messages

    private mutating func receive(
        _ message: ChatMessage, at now: MonotonicTime, into steps: inout [ClientStep]
    ) {
        let (message, item) = self.takeItem(of: message, into: &steps)
        let isRepeated = message.id <= self.timeline.lastID ?? 0
        self.deliver(self.timeline.receive(message, at: now), at: now, into: &steps)
        if item != nil || isRepeated { self.sendNext(at: now, into: &steps) }
        if self.timeline.isFull {
            steps.append(.drop(.broken(reason: "too many messages arrived before the history")))
        }
    }

    /// A message with the local id of an item confirms that the item is stored. Other users may
    /// choose the same id.
    private mutating func takeItem(of message: ChatMessage, into steps: inout [ClientStep])
        -> (ChatMessage, PendingMessage?)
    {
        var message = self.owned(message)
        guard let localID = message.localID, message.isOwn || self.user == nil,
            let item = self.outbox.remove(localID)
        else { return (message, nil) }
        message.isOwn = true
        self.user = self.user ?? message.author
        steps.append(.forget(localID))
        steps.append(.emit(.outbox(localID: localID, .stored(message))))
        return (message, item)
    }

    private mutating func itemStored(
        _ localID: String, _ id: Int?, _ time: Timestamp?, at now: MonotonicTime,
        into steps: inout [ClientStep]
    ) {
        guard let item = self.outbox.remove(localID) else { return }
        var message = ChatMessage(
            id: id ?? 0, author: self.user ?? "me", text: item.text, time: time, localID: localID)
        message.authorName = self.dialect.ownName
        message.isOwn = true
        message.replyTo = item.replyTo
        message.thread = item.replyTo.flatMap { self.timeline.message($0) }.map {
            $0.thread ?? $0.id
        }
        message.mentioned = item.mentioned
        steps.append(.forget(localID))
        steps.append(.emit(.outbox(localID: localID, .stored(message))))
        if let to = item.to {
            steps.append(.emit(.direct(message, to: to)))
        } else if id != nil {
            self.deliver(self.timeline.receive(message, at: now), at: now, into: &steps)
        }
        self.sendNext(at: now, into: &steps)
    }

    /// Passes the timeline's events on.
    mutating func deliver(
        _ events: [ConversationEvent], at now: MonotonicTime, into steps: inout [ClientStep]
    ) {
        for event in events {
            if case .message(let message) = event,
                let typing = self.typingUsers.removeValue(forKey: message.author)
            {
                let author = message.author
                steps.append(.emit(.typing(user: author, name: typing.name, isTyping: false)))
            }
            steps.append(.emit(event))
        }
    }

    private mutating func received(
        page: [ChatMessage], at now: MonotonicTime, into steps: inout [ClientStep]
    ) {
        let page = page.map { self.takeItem(of: $0, into: &steps).0 }
        guard
            let request = self.takeRequest({
                switch $0 {
                case .command(.page), .command(.thread), .older, .gap, .quoted: true
                default: false
                }
            })
        else { return }
        switch request.kind {
        case .older(let limit):
            self.timeline.prepend(page)
            let hasMore = page.count >= limit && page.first?.id ?? 1 > 1
            self.answer(request, .older(hasMore), &steps)
        case .gap: self.deliver(self.timeline.fill(page, at: now), at: now, into: &steps)
        case .quoted(let id):
            self.deliver(self.timeline.quote(id, from: page), at: now, into: &steps)
        case .command:
            self.answer(request, .messages(page.map { self.timeline.latest($0) }), &steps)
        }
        self.flush(at: now, into: &steps)
        self.fetchQuoted(at: now, into: &steps)
    }

    private func isOwn(_ message: ChatMessage) -> Bool {
        message.author == self.user
            && (self.settings.guestKey == nil || message.guestKey == self.settings.guestKey)
    }

    func owned(_ message: ChatMessage) -> ChatMessage {
        var message = message
        message.isOwn = message.isOwn || self.isOwn(message)
        if let user = self.user, !message.isOwn {
            message.mentionsMe = message.mentioned.include(user)
        }
        return message
    }

    private mutating func amended(
        _ message: ChatMessage, _ change: Timeline.ReportedChange, at now: MonotonicTime,
        into steps: inout [ClientStep]
    ) {
        self.deliver(self.timeline.change(change), at: now, into: &steps)
        let request = self.takeRequest {
            switch $0 {
            case .command(.edit(message.id, message.text)): !message.isDeleted
            case .command(.delete(message.id)): message.isDeleted
            default: false
            }
        }
        guard let request else { return }
        self.answer(request, .message(self.timeline.message(message.id) ?? message), &steps)
        self.flush(at: now, into: &steps)
    }

    /// Removes the first request in flight that matches.
    mutating func takeRequest(_ matches: (PendingRequest.RequestKind) -> Bool)
        -> PendingRequest?
    {
        self.requests.firstIndex { $0.sentAt != nil && matches($0.kind) }.map {
            self.requests.remove(at: $0)
        }
    }

    private mutating func advance(
        _ id: Int, to state: MessageState, into steps: inout [ClientStep]
    ) {
        guard self.timeline.advance(id, to: state) else { return }
        steps.append(.emit(.receipt(ids: [id], status: state, user: nil)))
    }

    // MARK: Failures

    private mutating func sendFailed(
        _ localID: String?, _ reason: String, _ retryAfter: Double?, at now: MonotonicTime,
        into steps: inout [ClientStep]
    ) {
        guard let localID, self.outbox.isInFlight(localID), let item = self.outbox.item(localID)
        else {
            return steps.append(.emit(.error(reason: reason, action: "send")))
        }
        if let retryAfter {
            // A longer wait is cut to 60 s, so that the client retries sooner. A shorter one is
            // raised to 50 ms, so that it does not flood the server.
            self.outbox.postpone(until: now.advanced(by: .seconds(min(max(retryAfter, 0.05), 60))))
        } else if reason.suggestsRetry {
            let delay = Backoff.jitter(item.tries, using: &self.random)
            self.outbox.postpone(until: now.advanced(by: delay))
        } else {
            self.fail(localID, reason, into: &steps)
            self.sendNext(at: now, into: &steps)
        }
    }

    private mutating func requestFailed(
        _ kind: ClientRequestKind?, _ reason: String, _ retryAfter: Double?,
        at now: MonotonicTime, into steps: inout [ClientStep]
    ) {
        let isTemporary = retryAfter != nil || reason.suggestsRetry
        let retryAt = now.advanced(by: .seconds(min(max(retryAfter ?? 1, 0.05), 60)))
        switch kind {
        case .ephemeral where retryAfter != nil:
            self.reportedReadID = 0
            self.readReportAt = retryAt
        case .join where self.pendingJoin != nil:
            guard isTemporary else { return self.refuseJoin(reason, into: &steps) }
            self.joinRetryAt = now.advanced(by: .seconds(min(max(retryAfter ?? 2, 0.5), 60)))
            steps.append(.emit(.error(reason: reason, action: "join")))
        default:
            guard
                let index = self.requests.firstIndex(where: {
                    $0.errorKind == kind && $0.sentAt != nil
                })
            else {
                return steps.append(.emit(.error(reason: reason, action: nil)))
            }
            if isTemporary {
                self.requests[index].sentAt = nil
                self.requests[index].notBefore = retryAt
                return
            }
            let request = self.requests.remove(at: index)
            self.refused(request, reason, at: now, into: &steps)
            self.flush(at: now, into: &steps)
        }
    }

    private mutating func refused(
        _ request: PendingRequest, _ reason: String, at now: MonotonicTime,
        into steps: inout [ClientStep]
    ) {
        switch request.kind {
        // An earlier attempt succeeded.
        case .command(.delete(let id)) where reason.hasSuffix("is deleted"):
            self.answer(request, .message(self.timeline.message(id)), &steps)
        case .command(.unpin) where request.tries > 1 && reason.hasSuffix("is not pinned"):
            self.answer(request, .done, &steps)
        case .gap: self.deliver(self.timeline.skipGap(at: now), at: now, into: &steps)
        case .quoted(let id):
            self.deliver(self.timeline.quote(id, from: []), at: now, into: &steps)
        default: self.answer(request, .failed(.refusal(reason)), &steps)
        }
    }

    private mutating func refuseJoin(_ reason: String, into steps: inout [ClientStep]) {
        steps.append(.close)
        self.refuse("The server says: \(SafeText.line(reason, limit: 300))", into: &steps)
    }

    // MARK: Other users

    private mutating func recordTyping(
        _ user: String, _ name: String, _ isTyping: Bool, at now: MonotonicTime,
        into steps: inout [ClientStep]
    ) {
        guard user != self.user else { return }
        let wasTyping = self.typingUsers[user] != nil
        if isTyping {
            // The server clears a typing state after 6 s without renewal.
            guard wasTyping || self.typingUsers.count < 50 else { return }
            self.typingUsers[user] = (name, now.advanced(by: .seconds(8)))
        } else {
            self.typingUsers[user] = nil
        }
        guard isTyping != wasTyping else { return }
        steps.append(.emit(.typing(user: user, name: name, isTyping: isTyping)))
    }
}
