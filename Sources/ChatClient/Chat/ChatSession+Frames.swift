import EventLoop

/// What the server says.
extension ChatSession {
    mutating func received(_ text: [UInt8], at now: MonotonicTime, into steps: inout [ChatStep]) {
        switch ServerFrame(text) {
        case .message(let message): self.hear(message, at: now, into: &steps)
        case .fetched(let messages): self.take(history: messages, at: now, into: &steps)
        case .failed(let localID, let sentence, let retryAfter): self.fail(localID, sentence, retryAfter, at: now, into: &steps)
        case .edited(let message): self.changed(.edited(message), .edit(message.id, message.content), into: &steps)
        case .deleted(let message): self.changed(.deleted(message), .delete(message.id), into: &steps)
        case .typing(let user, let name, let isTyping): self.note(user, name, isTyping, at: now)
        case .status(let id, let status): self.advance(id, to: status == .read ? .read : .delivered, into: &steps)
        case .presence(let user, let isOnline): self.note(user, isOnline: isOnline, into: &steps)
        case .crowd(let online): self.presence.note(crowd: online)
        case .heartbeat: steps.append(.send(ClientAction.heartbeatAcknowledgement))
        case .error(let action, let sentence, let retryAfter, let oldestID):
            self.note(error: sentence, of: action, retryAfter, oldestID, at: now, into: &steps)
        case .other: break
        case nil: steps.append(.show(.trouble("The server said something that is not of the Conversations protocol.")))
        }
    }

    // MARK: Messages

    private mutating func hear(_ message: ChatMessage, at now: MonotonicTime, into steps: inout [ChatStep]) {
        if let localID = message.localID, self.outbox.remove(localID) {
            self.user = self.user ?? message.sender
            self.newestOwn = (message.id, .stored)
            self.sendNext(at: now, into: &steps)
        }
        guard self.lastID != nil else {
            // The history comes first. Should it not come at all, this is better than nothing.
            self.held.append(message)
            if self.held.count >= Self.heldLimit { self.releaseHeld(into: &steps) }
            return
        }
        self.show(message, into: &steps)
    }

    /// Shows a message once, however often it comes.
    private mutating func show(_ message: ChatMessage, into steps: inout [ChatStep]) {
        guard message.id > self.lastID ?? 0 else { return }
        self.lastID = message.id
        let isMine = message.sender == self.user
        self.typists[message.sender] = nil
        if !isMine { self.unreadID = message.id }
        if !message.isDeleted { steps.append(.show(.message(message, isMine: isMine))) }
    }

    private mutating func releaseHeld(into steps: inout [ChatStep]) {
        let held = self.held
        self.held = []
        for message in held { self.show(message, into: &steps) }
    }

    private mutating func take(history newestFirst: [ChatMessage], at now: MonotonicTime, into steps: inout [ChatStep]) {
        guard
            let place = self.questions.firstIndex(where: {
                switch $0 {
                case .entrance, .history: true
                case .edit, .delete: false
                }
            })
        else { return }
        if case .history = self.questions.remove(at: place) {
            for message in newestFirst.reversed() where !message.isDeleted {
                steps.append(.show(.message(message, isMine: message.sender == self.user)))
            }
            if newestFirst.isEmpty { steps.append(.show(.notice("There are no messages yet."))) }
            return
        }
        self.enter(newestFirst, into: &steps)
    }

    /// The answer to the first request of a connection: one is in, and knows who else is.
    private mutating func enter(_ newestFirst: [ChatMessage], into steps: inout [ChatStep]) {
        if self.lastID == nil {
            if self.settings.isInteractive {
                for message in newestFirst.reversed() { self.show(message, into: &steps) }
            }
            // What came live is news, even if the history has it too.
            let newest = newestFirst.map(\.id).max() ?? 0
            self.lastID = max(self.lastID ?? 0, self.held.isEmpty ? newest : min(newest, self.held[0].id - 1))
            self.releaseHeld(into: &steps)
        }
        self.isPresenceSettled = true
        if self.lostAt != nil { steps.append(.show(.notice("Connected again."))) }
        self.lostAt = nil
        self.backoff.reset()
        if !self.hasEntered, self.settings.isInteractive { steps.append(.show(.notice(self.presence.sentence))) }
        self.hasEntered = true
    }

    private mutating func changed(_ line: ChatLine, _ question: Question, into steps: inout [ChatStep]) {
        if let place = self.questions.firstIndex(where: { $0.isAnswered(by: question) }) { self.questions.remove(at: place) }
        steps.append(.show(line))
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
        // The words of `ChatError.unavailable`: the same send may be tried again.
        if sentence.hasSuffix("try again"), self.outbox.postpone(until: now.advanced(by: .seconds(1)), isRefusal: true) < 5 { return }
        let text = SafeText.line(self.outbox.first?.text ?? "", limit: 60)
        steps.append(.show(.trouble("Not sent: \(text) (\(SafeText.line(sentence, limit: 300)))")))
        self.failedCount += 1
        _ = self.outbox.remove(localID)
        self.sendNext(at: now, into: &steps)
    }

    private mutating func note(
        error sentence: String, of action: String?, _ retryAfter: Double?, _ oldestID: Int?, at now: MonotonicTime,
        into steps: inout [ChatStep]
    ) {
        if let oldestID {
            steps.append(.show(.trouble("Some messages are gone: the server keeps them from #\(oldestID) on only.")))
            return
        }
        // Nobody needs to know that a receipt or a typing notice came too often.
        if retryAfter != nil, action == "typing" || action == "read" { return }
        let isAsked: (Question) -> Bool
        switch action {
        case "fetch_messages":
            isAsked = {
                switch $0 {
                case .entrance, .history: true
                case .edit, .delete: false
                }
            }
        case "edit_message": isAsked = { if case .edit = $0 { true } else { false } }
        case "delete_message": isAsked = { if case .delete = $0 { true } else { false } }
        default: isAsked = { _ in false }
        }
        if let place = self.questions.firstIndex(where: isAsked) {
            if case .entrance = self.questions[place] {
                self.entranceRetryAt = now.advanced(by: .milliseconds(Int(min(max(retryAfter ?? 2, 0.5), 60) * 1000)))
            } else {
                self.questions.remove(at: place)
                self.failedCount += 1
            }
        }
        let wait = retryAfter.map { "; try again in \(Int($0.rounded(.up))) s" } ?? ""
        steps.append(.show(.trouble("The server says: \(SafeText.line(sentence, limit: 300))\(wait)")))
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

    private mutating func note(_ user: String, isOnline: Bool, into steps: inout [ChatStep]) {
        guard user != self.user else { return }
        if !isOnline { self.typists[user] = nil }
        guard let change = self.presence.note(user, isOnline: isOnline), self.isPresenceSettled else { return }
        let name = SafeText.line(user, limit: 128)
        steps.append(.show(.notice(change == .joined ? "\(name) is here." : "\(name) has left.")))
    }
}

extension ChatSession.Question {
    /// Whether an announcement is what was asked for.
    fileprivate func isAnswered(by other: ChatSession.Question) -> Bool {
        switch (self, other) {
        case (.edit(let mine, _), .edit(let announced, _)), (.delete(let mine), .delete(let announced)): mine == announced
        default: false
        }
    }
}
