import Bytes
import EventLoop

/// What the server says.
extension ChatSession {
    mutating func received(_ text: [UInt8], at now: MonotonicTime, into steps: inout [ChatStep]) {
        self.carryOut(self.dialect.heard(text), at: now, into: &steps)
    }

    mutating func take(_ event: ServerEvent, at now: MonotonicTime, into steps: inout [ChatStep]) {
        guard self.connection != .over else { return }
        switch event {
        case .entered(let history): self.enter(history, at: now, into: &steps)
        case .message(let message): self.hear(message, at: now, into: &steps)
        case .direct(let message, let to): steps.append(.show(.direct(message, to: to, isMine: message.sender == self.user)))
        case .stored(let localID, let id, let moment): self.stored(localID, id, moment, at: now, into: &steps)
        case .failed(let localID, let sentence, let retryAfter): self.fail(localID, sentence, retryAfter, at: now, into: &steps)
        case .history(let messages): self.take(history: messages, into: &steps)
        case .members(let names):
            self.settleQuestion { $0 == .members }
            let words = names.map { SafeText.line($0, limit: 128) }.joined(separator: ", ")
            steps.append(.show(.notice(names.isEmpty ? "There are no members." : "Members: \(words).")))
        case .edited(let message):
            self.settleQuestion { if case .edit(message.id, _) = $0 { true } else { false } }
            steps.append(.show(.edited(message)))
        case .deleted(let message):
            self.settleQuestion { $0 == .delete(message.id) }
            steps.append(.show(.deleted(message)))
        case .typing(let user, let name, let isTyping): self.note(user, name, isTyping, at: now)
        case .status(let id, let status): self.advance(id, to: status == .read ? .read : .delivered, into: &steps)
        case .readThrough(let id): if let own = self.newestOwn, own.id <= id { self.advance(own.id, to: .read, into: &steps) }
        case .presence(let user, let name, let isOnline): self.note(user, name, isOnline: isOnline, into: &steps)
        case .crowd(let online): self.presence.note(crowd: online)
        case .refused(let request, let sentence, let retryAfter): self.note(error: sentence, of: request, retryAfter, at: now, into: &steps)
        case .truncated(let oldestID):
            // What is kept has been seen, and may have changed since.
            let isSeen = self.order.lastID.map { oldestID <= $0 } ?? false
            self.order.forget(below: oldestID)
            let sentence =
                isSeen
                ? "The server cannot say what has changed meanwhile; /history shows the messages as they are."
                : "Some messages are gone: the server keeps them from #\(oldestID) on only."
            steps.append(.show(.trouble(sentence)))
        case .reset(let head):
            self.order.reset(to: head)
            self.newestOwn = nil
            self.unreadID = nil
            self.reportedReadID = min(self.reportedReadID, head)
            steps.append(
                .show(
                    .trouble(
                        "The server has another history than before, whose newest message is #\(head): a restored backup, perhaps."
                            + " What follows it is shown.")))
        case .identified(let user): self.user = user
        case .notice(let sentence): steps.append(.show(.notice(sentence)))
        case .ended(let sentence):
            steps.append(.show(.trouble(SafeText.line(sentence, limit: 300))))
            self.giveUp(into: &steps)
        case .nonsense:
            steps.append(.show(.trouble("The server said something that is not of the \(self.dialect.dialect.name) protocol.")))
        }
    }

    // MARK: Messages

    private mutating func hear(_ message: ChatMessage, at now: MonotonicTime, into steps: inout [ChatStep]) {
        self.settleLine(of: message, at: now, into: &steps)
        for message in self.order.hear(message) { self.show(message, into: &steps) }
        if self.order.isOverfull { steps.append(.drop(.broken(reason: "more came than could wait for what was missed"))) }
    }

    /// A message that bears the id of the line under way is that line, stored.
    private mutating func settleLine(of message: ChatMessage, at now: MonotonicTime, into steps: inout [ChatStep]) {
        guard let localID = message.localID, self.outbox.remove(localID) else { return }
        self.user = self.user ?? message.sender
        self.newestOwn = (message.id, .stored)
        self.sendNext(at: now, into: &steps)
    }

    private mutating func stored(
        _ localID: String, _ id: Int?, _ moment: Timestamp?, at now: MonotonicTime, into steps: inout [ChatStep]
    ) {
        guard let line = self.outbox.first, self.outbox.remove(localID) else { return }
        var message = ChatMessage(id: id ?? 0, sender: self.user ?? "me", content: line.text, sentAt: moment, localID: localID)
        message.senderName = self.dialect.ownName
        if let to = line.to {
            steps.append(.show(.direct(message, to: to, isMine: true)))
        } else if id != nil {
            self.newestOwn = (message.id, .stored)
            for message in self.order.answer(message) { self.show(message, into: &steps, isMine: message.localID == localID) }
            if self.order.hasEarly { self.earlySince = self.earlySince ?? now }
        }
        self.sendNext(at: now, into: &steps)
    }

    mutating func show(_ message: ChatMessage, into steps: inout [ChatStep], isMine: Bool = false) {
        let isMine = isMine || message.sender == self.user
        self.typists[message.sender] = nil
        if !isMine { self.unreadID = message.id }
        if !self.order.hasEarly { self.earlySince = nil }
        if !message.isDeleted { steps.append(.show(.message(message, isMine: isMine))) }
    }

    private mutating func take(history messages: [ChatMessage], into steps: inout [ChatStep]) {
        guard self.settleQuestion({ if case .history = $0 { true } else { false } }) else { return }
        for message in messages where !message.isDeleted {
            steps.append(.show(.message(message, isMine: message.sender == self.user)))
        }
        if messages.isEmpty { steps.append(.show(.notice("There are no messages yet."))) }
    }

    /// One is in, and knows who else is.
    private mutating func enter(_ history: [ChatMessage]?, at now: MonotonicTime, into steps: inout [ChatStep]) {
        guard self.entrance != nil else { return }
        self.entrance = nil
        self.entranceRetryAt = nil
        for message in history ?? [] { self.settleLine(of: message, at: now, into: &steps) }
        let (messages, gone) = self.order.enter(history, isShown: self.settings.isInteractive)
        if let gone {
            let numbers = gone.count == 1 ? "#\(gone.lowerBound) is" : "#\(gone.lowerBound) to #\(gone.upperBound) are"
            steps.append(.show(.trouble("Some messages were missed: \(numbers) not among those that the server gives.")))
        }
        for message in messages { self.show(message, into: &steps) }
        self.isPresenceSettled = true
        if self.lostAt != nil { steps.append(.show(.notice("Connected again."))) }
        self.lostAt = nil
        self.backoff.reset()
        if !self.hasEntered, self.settings.isInteractive, self.can(.presence) { steps.append(.show(.notice(self.presence.sentence))) }
        self.hasEntered = true
        if self.dialect.waitsAtTheDoor { self.beginToTalk(at: now, into: &steps) }
    }

    /// Forgets the first question of this kind; false when there is none.
    @discardableResult
    private mutating func settleQuestion(_ isIt: (ClientWish) -> Bool) -> Bool {
        guard let place = self.questions.firstIndex(where: isIt) else { return false }
        self.questions.remove(at: place)
        return true
    }

    // MARK: One's own

    private mutating func advance(_ id: Int, to progress: MessageProgress, into steps: inout [ChatStep]) {
        guard let own = self.newestOwn, own.id == id, progress > own.progress else { return }
        self.newestOwn = (id, progress)
        if self.settings.isInteractive { steps.append(.show(.status(id: id, progress))) }
    }

    private mutating func fail(
        _ localID: String?, _ sentence: String, _ retryAfter: Double?, at now: MonotonicTime, into steps: inout [ChatStep]
    ) {
        guard let localID, localID == self.outbox.first?.localID else {
            steps.append(.show(.trouble("The server refuses a message: \(SafeText.line(sentence.endingWithAStop, limit: 300))")))
            return
        }
        if let retryAfter {
            // A server that means hours would rather be asked again; one that means nothing is not to be stormed.
            let seconds = min(max(retryAfter, 0.05), 60)
            _ = self.outbox.postpone(until: now.advanced(by: .milliseconds(Int(seconds * 1000))), isRefusal: false)
            return
        }
        if sentence.asksToTryAgain, self.outbox.postpone(until: now.advanced(by: .seconds(1)), isRefusal: true) < 5 { return }
        let text = SafeText.line(self.outbox.first?.text ?? "", limit: 60)
        steps.append(.show(.trouble("Not sent: \(text) (\(SafeText.line(sentence, limit: 300)))")))
        self.failedCount += 1
        _ = self.outbox.remove(localID)
        self.sendNext(at: now, into: &steps)
    }

    private mutating func note(
        error sentence: String, of request: ClientRequest?, _ retryAfter: Double?, at now: MonotonicTime, into steps: inout [ChatStep]
    ) {
        if request == .aside, retryAfter != nil { return }
        let isKnown = request == .entrance || self.settleQuestion { $0.request == request }
        if isKnown, request != .entrance { self.failedCount += 1 }
        let wait = retryAfter.map { "; try again in \(Int($0.rounded(.up))) s" } ?? ""
        steps.append(.show(.trouble("The server says: \(SafeText.line(sentence, limit: 300))\(wait)")))
        guard request == .entrance, self.entrance != nil else { return }
        guard retryAfter != nil || sentence.asksToTryAgain else { return self.giveUp(into: &steps) }
        self.entranceRetryAt = now.advanced(by: .milliseconds(Int(min(max(retryAfter ?? 2, 0.5), 60) * 1000)))
    }

    // MARK: Others

    private mutating func note(_ user: String, _ name: String, _ isTyping: Bool, at now: MonotonicTime) {
        guard isTyping, user != self.user else {
            self.typists[user] = nil
            return
        }
        // The server takes it back after 6 s without renewal.
        guard self.typists.count < 50 || self.typists[user] != nil else { return }
        self.typists[user] = (SafeText.line(name, limit: 40), now.advanced(by: .seconds(8)))
    }

    private mutating func note(_ user: String, _ name: String, isOnline: Bool, into steps: inout [ChatStep]) {
        guard user != self.user else { return }
        if !isOnline { self.typists[user] = nil }
        guard let change = self.presence.note(user, named: name, isOnline: isOnline), self.isPresenceSettled else { return }
        let name = SafeText.line(name, limit: 128)
        steps.append(.show(.notice(change == .joined ? "\(name) is here." : "\(name) has left.")))
    }
}

extension ClientWish {
    /// What an error calls it.
    fileprivate var request: ClientRequest? {
        switch self {
        case .history: .history
        case .edit: .edit
        case .delete: .delete
        case .members: .members
        case .send, .typing, .read: nil
        }
    }
}
