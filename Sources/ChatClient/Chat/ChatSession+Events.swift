import Bytes
import EventLoop

/// Events from the server.
extension ChatSession {
    mutating func received(_ text: [UInt8], at now: MonotonicTime, into steps: inout [ChatStep]) {
        self.perform(self.dialect.receive(text), at: now, into: &steps)
    }

    mutating func handle(_ event: ServerEvent, at now: MonotonicTime, into steps: inout [ChatStep])
    {
        guard self.connection != .ended else { return }
        switch event {
        case .joined(let history): self.joined(history, at: now, into: &steps)
        case .message(let message): self.receive(message, at: now, into: &steps)
        case .direct(let message, let to):
            steps.append(.show(.direct(message, to: to, isMine: message.sender == self.user)))
        case .stored(let localID, let id, let sentAt):
            self.lineStored(localID, id, sentAt, at: now, into: &steps)
        case .sendFailed(let localID, let reason, let retryAfter):
            self.sendFailed(localID, reason, retryAfter, at: now, into: &steps)
        case .history(let messages): self.received(history: messages, into: &steps)
        case .members(let names):
            self.completeCommand { $0 == .members }
            let list = names.map { SafeText.line($0, limit: 128) }.joined(separator: ", ")
            steps.append(
                .show(.notice(names.isEmpty ? "There are no members." : "Members: \(list).")))
        case .edited(let message):
            self.completeCommand { if case .edit(message.id, _) = $0 { true } else { false } }
            steps.append(.show(.edited(message)))
        case .deleted(let message):
            self.completeCommand { $0 == .delete(message.id) }
            steps.append(.show(.deleted(message)))
        case .typing(let user, let name, let isTyping):
            self.recordTyping(user, name, isTyping, at: now)
        case .status(let id, let status):
            self.updateProgress(id, to: status == .read ? .read : .delivered, into: &steps)
        case .readThrough(let id):
            if let own = self.newestOwnMessage, own.id <= id {
                self.updateProgress(own.id, to: .read, into: &steps)
            }
        case .presence(let user, let name, let isOnline):
            self.recordPresence(user, name, isOnline: isOnline, into: &steps)
        case .onlineCount(let online): self.presence.record(onlineCount: online)
        case .requestFailed(let request, let reason, let retryAfter):
            self.requestFailed(error: reason, of: request, retryAfter, at: now, into: &steps)
        case .truncated(let oldestID): self.truncated(oldestID, into: &steps)
        case .reset(let head): self.reset(to: head, into: &steps)
        case .identified(let user): self.user = user
        case .notice(let text): steps.append(.show(.notice(text)))
        case .ended(let reason):
            steps.append(.show(.error(SafeText.line(reason, limit: 300))))
            self.giveUp(into: &steps)
        case .malformed:
            steps.append(
                .show(
                    .error(
                        """
                        The server sent a frame that is not part of the \
                        \(self.dialect.dialect.title) protocol.
                        """
                    )))
        }
    }

    // MARK: Gaps

    private mutating func truncated(_ oldestID: Int, into steps: inout [ChatStep]) {
        // These messages were displayed already, but may have changed since.
        let isSeen = self.order.lastID.map { oldestID <= $0 } ?? false
        self.order.skip(below: oldestID)
        let text =
            isSeen
            ? """
            The server no longer has the changes in between; /history shows the current \
            messages.
            """
            : """
            Some messages are no longer available: the server retains them from #\(oldestID) on.
            """
        steps.append(.show(.error(text)))
    }

    private mutating func reset(to head: Int, into steps: inout [ChatStep]) {
        self.order.reset(to: head)
        self.newestOwnMessage = nil
        self.unreadID = nil
        self.reportedReadID = min(self.reportedReadID, head)
        let text = """
            The server's history was replaced, for instance by a restored backup. Its newest \
            message is #\(head). Later messages are shown.
            """
        steps.append(.show(.error(text)))
    }

    // MARK: Messages

    private mutating func receive(
        _ message: ChatMessage, at now: MonotonicTime, into steps: inout [ChatStep]
    ) {
        self.confirmLine(of: message, at: now, into: &steps)
        for message in self.order.receive(message) { self.show(message, into: &steps) }
        if self.order.isQueueFull {
            steps.append(.drop(.broken(reason: "too many messages arrived before the history")))
        }
    }

    /// A message with the local id of the line in flight confirms that this line is stored.
    private mutating func confirmLine(
        of message: ChatMessage, at now: MonotonicTime, into steps: inout [ChatStep]
    ) {
        guard let localID = message.localID, self.outbox.remove(localID) else { return }
        self.user = self.user ?? message.sender
        self.newestOwnMessage = (message.id, .stored)
        self.sendNext(at: now, into: &steps)
    }

    private mutating func lineStored(
        _ localID: String, _ id: Int?, _ sentAt: Timestamp?, at now: MonotonicTime,
        into steps: inout [ChatStep]
    ) {
        guard let line = self.outbox.first, self.outbox.remove(localID) else { return }
        var message = ChatMessage(
            id: id ?? 0, sender: self.user ?? "me", content: line.text, sentAt: sentAt,
            localID: localID)
        message.senderName = self.dialect.ownName
        if let to = line.to {
            steps.append(.show(.direct(message, to: to, isMine: true)))
        } else if id != nil {
            self.newestOwnMessage = (message.id, .stored)
            for message in self.order.receiveAnswer(message) {
                self.show(message, into: &steps, isMine: message.localID == localID)
            }
            if self.order.hasEarlyAnswers { self.earlyAnswerSince = self.earlyAnswerSince ?? now }
        }
        self.sendNext(at: now, into: &steps)
    }

    mutating func show(_ message: ChatMessage, into steps: inout [ChatStep], isMine: Bool = false) {
        let isMine = isMine || message.sender == self.user
        self.typingUsers[message.sender] = nil
        if !isMine { self.unreadID = message.id }
        if !self.order.hasEarlyAnswers { self.earlyAnswerSince = nil }
        if !message.isDeleted { steps.append(.show(.message(message, isMine: isMine))) }
    }

    private mutating func received(history messages: [ChatMessage], into steps: inout [ChatStep]) {
        guard self.completeCommand({ if case .history = $0 { true } else { false } }) else {
            return
        }
        for message in messages where !message.isDeleted {
            steps.append(.show(.message(message, isMine: message.sender == self.user)))
        }
        if messages.isEmpty { steps.append(.show(.notice("There are no messages yet."))) }
    }

    /// The server has let the client in, and has reported the other users' presence.
    private mutating func joined(
        _ history: [ChatMessage]?, at now: MonotonicTime, into steps: inout [ChatStep]
    ) {
        guard self.pendingJoin != nil else { return }
        self.pendingJoin = nil
        self.joinRetryAt = nil
        for message in history ?? [] { self.confirmLine(of: message, at: now, into: &steps) }
        let (messages, missing) = self.order.joined(history, isShown: self.settings.isInteractive)
        if let missing {
            let numbers =
                missing.count == 1
                ? "#\(missing.lowerBound) is"
                : "#\(missing.lowerBound) to #\(missing.upperBound) are"
            steps.append(
                .show(
                    .error(
                        "Some messages were missed: \(numbers) no longer available."
                    )))
        }
        for message in messages { self.show(message, into: &steps) }
        self.hasInitialPresence = true
        if self.lostAt != nil { steps.append(.show(.notice("Reconnected."))) }
        self.lostAt = nil
        self.backoff.reset()
        if !self.hasJoined, self.settings.isInteractive, self.supports(.presence) {
            steps.append(.show(.notice(self.presence.summary)))
        }
        self.hasJoined = true
        if self.dialect.mustJoinBeforeSending { self.resumeSending(at: now, into: &steps) }
    }

    /// Removes the first pending command that matches. Returns false when there is none.
    @discardableResult
    private mutating func completeCommand(_ matches: (ClientCommand) -> Bool) -> Bool {
        guard let index = self.pendingCommands.firstIndex(where: matches) else { return false }
        self.pendingCommands.remove(at: index)
        return true
    }

    // MARK: Own messages

    private mutating func updateProgress(
        _ id: Int, to progress: MessageProgress, into steps: inout [ChatStep]
    ) {
        guard let own = self.newestOwnMessage, own.id == id, progress > own.progress else { return }
        self.newestOwnMessage = (id, progress)
        if self.settings.isInteractive { steps.append(.show(.status(id: id, progress))) }
    }

    private mutating func sendFailed(
        _ localID: String?, _ reason: String, _ retryAfter: Double?, at now: MonotonicTime,
        into steps: inout [ChatStep]
    ) {
        guard let localID, localID == self.outbox.first?.localID else {
            steps.append(
                .show(
                    .error(
                        """
                        The server rejected a message: \
                        \(SafeText.line(reason.endingWithPeriod, limit: 300))
                        """
                    )))
            return
        }
        if let retryAfter {
            // A longer wait is cut to 60 s, so that the client retries sooner. A shorter one is
            // raised to 50 ms, so that it does not flood the server.
            let seconds = min(max(retryAfter, 0.05), 60)
            _ = self.outbox.postpone(
                until: now.advanced(by: .milliseconds(Int(seconds * 1000))), isFailure: false)
            return
        }
        if reason.suggestsRetry,
            self.outbox.postpone(until: now.advanced(by: .seconds(1)), isFailure: true) < 5
        {
            return
        }
        let text = SafeText.line(self.outbox.first?.text ?? "", limit: 60)
        steps.append(.show(.error("Not sent: \(text) (\(SafeText.line(reason, limit: 300)))")))
        self.failedCount += 1
        _ = self.outbox.remove(localID)
        self.sendNext(at: now, into: &steps)
    }

    private mutating func requestFailed(
        error reason: String, of request: ClientRequestKind?, _ retryAfter: Double?,
        at now: MonotonicTime, into steps: inout [ChatStep]
    ) {
        if request == .ephemeral, retryAfter != nil { return }
        let isKnown = request == .join || self.completeCommand { $0.requestKind == request }
        if isKnown, request != .join { self.failedCount += 1 }
        let wait = retryAfter.map { "; try again in \(Int($0.rounded(.up))) s" } ?? ""
        steps.append(
            .show(.error("The server says: \(SafeText.line(reason, limit: 300))\(wait)")))
        guard request == .join, self.pendingJoin != nil else { return }
        guard retryAfter != nil || reason.suggestsRetry else { return self.giveUp(into: &steps) }
        self.joinRetryAt = now.advanced(
            by: .milliseconds(Int(min(max(retryAfter ?? 2, 0.5), 60) * 1000)))
    }

    // MARK: Other users

    private mutating func recordTyping(
        _ user: String, _ name: String, _ isTyping: Bool, at now: MonotonicTime
    ) {
        guard isTyping, user != self.user else {
            self.typingUsers[user] = nil
            return
        }
        // The server clears a typing state after 6 s without renewal.
        guard self.typingUsers.count < 50 || self.typingUsers[user] != nil else { return }
        self.typingUsers[user] = (SafeText.line(name, limit: 40), now.advanced(by: .seconds(8)))
    }

    private mutating func recordPresence(
        _ user: String, _ name: String, isOnline: Bool, into steps: inout [ChatStep]
    ) {
        guard user != self.user else { return }
        if !isOnline { self.typingUsers[user] = nil }
        guard let change = self.presence.record(user, named: name, isOnline: isOnline),
            self.hasInitialPresence
        else { return }
        let name = SafeText.line(name, limit: 128)
        steps.append(.show(.notice(change == .joined ? "\(name) is online." : "\(name) has left.")))
    }
}

extension ClientCommand {
    /// The request that an error for this command names; nil where errors do not name it.
    fileprivate var requestKind: ClientRequestKind? {
        switch self {
        case .history: .history
        case .edit: .edit
        case .delete: .delete
        case .members: .members
        case .send, .typing, .read: nil
        }
    }
}
