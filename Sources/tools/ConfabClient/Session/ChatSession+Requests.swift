import Bytes
import EventLoop

/// Requests of the application.
extension ChatSession {
    // MARK: Messages

    /// Adds a message to the outbox. A message with the same id is sent only once; a refused one
    /// is sent again.
    ///
    /// - Parameter save: writes a new message to the store.
    mutating func post(
        _ item: PendingMessage, at now: MonotonicTime, into steps: inout [ClientStep],
        save: (PendingMessage) throws(ConfabError) -> Void = { (_) throws(ConfabError) in }
    ) throws(ConfabError) {
        guard self.connection != .closed else { throw .closed }
        guard !self.isEnded else { throw .ended }
        if let known = self.outbox.item(item.localID) {
            if known.error != nil { self.retry(item.localID, at: now, into: &steps) }
            return
        }
        guard (1...128).contains(item.localID.utf8.count) else {
            throw .refused("localID: must have 1 to 128 bytes")
        }
        guard !self.outbox.isFull else { throw .outboxFull }
        if item.replyTo != nil || item.mentioned != .none, !self.supports(.messageFeatures) {
            throw .notSupported("replies and mentions", self.dialect.dialect)
        }
        try save(item)
        self.outbox.add(item)
        self.typingSentAt = nil
        steps.append(.emit(.outbox(localID: item.localID, .sending)))
        self.sendNext(at: now, into: &steps)
    }

    /// Sends a refused message again, after those that wait.
    mutating func retry(
        _ localID: String, at now: MonotonicTime, into steps: inout [ClientStep]
    ) {
        guard let item = self.outbox.retry(localID) else { return }
        // The store has it behind those that wait, too.
        steps.append(.forget(localID))
        steps.append(.save(item))
        steps.append(.emit(.outbox(localID: localID, .sending)))
        self.sendNext(at: now, into: &steps)
    }

    /// Removes a message from the outbox. One in flight may be stored nevertheless.
    mutating func discard(
        _ localID: String, at now: MonotonicTime, into steps: inout [ClientStep]
    ) {
        guard self.outbox.remove(localID) != nil else { return }
        steps.append(.forget(localID))
        steps.append(.emit(.outbox(localID: localID, .discarded)))
        self.sendNext(at: now, into: &steps)
    }

    /// Sends the next message, if none is in flight.
    ///
    /// A message that was sent before may be among the missed messages. It is sent again only after
    /// these, because the server recognises repeats only among its newest 1,000.
    mutating func sendNext(at now: MonotonicTime, into steps: inout [ClientStep]) {
        guard self.canSendCommands else { return }
        let mayRepeat = self.pendingJoin == nil && self.timeline.isCaughtUp
        guard let item = self.outbox.beginSendingNext(at: now, mayRepeat: mayRepeat) else { return }
        self.send(.send(item), into: &steps)
    }

    // MARK: Requests with answers

    /// Makes a request; `.answer` follows with this id. On a new connection it is sent again: an
    /// edit is a state, not a difference.
    mutating func submit(
        _ kind: PendingRequest.RequestKind, as id: Int?, at now: MonotonicTime,
        into steps: inout [ClientStep]
    ) {
        let request = PendingRequest(id: id, kind: kind)
        switch self.connection {
        case .closed: return self.answer(request, .failed(.closed), &steps)
        case .refused:
            return self.answer(
                request, .failed(.refused("The server refused the client.")), &steps)
        default: break
        }
        if let name = self.unsupported(kind) {
            let error = ConfabError.notSupported(name, self.dialect.dialect)
            return self.answer(request, .failed(error), &steps)
        }
        // The page that closes a gap comes before the application's, but not before one in flight.
        if kind == .gap {
            let index = self.requests.firstIndex { $0.errorKind == .page && $0.sentAt == nil }
            self.requests.insert(request, at: index ?? self.requests.endIndex)
        } else {
            self.requests.append(request)
        }
        self.flushRequests(at: now, into: &steps)
    }

    /// The application does not wait for the answer any more.
    mutating func cancelRequest(_ id: Int) {
        // A request in flight stays, so that its answer is not taken for that of the next one.
        self.requests.removeAll { $0.id == id && $0.sentAt == nil }
    }

    private func unsupported(_ kind: PendingRequest.RequestKind) -> String? {
        switch kind {
        case .older: self.supports(.olderPages) ? nil : "pages of older messages"
        case .gap: self.supports(.gapPages) ? nil : "pages after a message"
        case .command(.edit), .command(.delete): self.supports(.edits) ? nil : "edits"
        case .command(.members): self.supports(.members) ? nil : "lists of members"
        case .command(.page): self.supports(.history) ? nil : "a history"
        case .command(.react): self.supports(.messageFeatures) ? nil : "reactions"
        case .command(.pin), .command(.unpin), .command(.pins):
            self.supports(.messageFeatures) ? nil : "pins"
        case .command(.thread), .quoted: self.supports(.messageFeatures) ? nil : "threads"
        case .command(.search): self.supports(.messageFeatures) ? nil : "search"
        case .command: nil
        }
    }

    /// Sends everything that may be sent.
    mutating func flush(at now: MonotonicTime, into steps: inout [ClientStep]) {
        self.flushRequests(at: now, into: &steps)
        self.sendNext(at: now, into: &steps)
        self.flushReceipt(at: now, into: &steps)
    }

    /// Sends the first request of each kind: an error names only the kind.
    mutating func flushRequests(at now: MonotonicTime, into steps: inout [ClientStep]) {
        guard self.canSendCommands else { return }
        var busy: [ClientRequestKind] = []
        for index in self.requests.indices {
            let request = self.requests[index]
            guard let kind = request.errorKind, !busy.contains(kind) else { continue }
            busy.append(kind)
            guard request.sentAt == nil, now >= request.notBefore else { continue }
            let command: ClientCommand
            switch request.kind {
            case .command(let given): command = given
            case .older(let limit):
                guard self.timeline.isLive, let oldest = self.timeline.oldestID else { continue }
                command = .page(.before(oldest, limit))
            case .gap: command = .page(.after(self.timeline.lastID ?? 0, 100))
            case .quoted(let id): command = .page(.before(id + 1, 1))
            }
            self.requests[index].sentAt = now
            self.requests[index].tries += 1
            self.send(command, into: &steps)
        }
    }

    /// Fetches messages that the server has not sent, or continues without them.
    mutating func closeGap(at now: MonotonicTime, into steps: inout [ClientStep]) {
        guard !self.requests.contains(where: { $0.kind == .gap }) else { return }
        if self.supports(.gapPages) {
            guard self.timeline.hasGap(at: now, for: .milliseconds(300)) else { return }
            self.submit(.gap, as: nil, at: now, into: &steps)
        } else if self.timeline.hasGap(at: now, for: .seconds(5)) {
            self.deliver(self.timeline.skipGap(at: now), at: now, into: &steps)
        }
    }

    /// Fetches a message that is not loaded and to which a loaded one replies.
    mutating func fetchQuoted(at now: MonotonicTime, into steps: inout [ClientStep]) {
        guard self.timeline.isCaughtUp, let id = self.timeline.unquoted.first,
            self.supports(.messageFeatures), !self.requests.contains(where: \.isInternal)
        else { return }
        self.submit(.quoted(id), as: nil, at: now, into: &steps)
    }

    // MARK: Typing and receipts

    /// The user types, or has stopped. Call it for every key; reports are limited here.
    mutating func setTyping(
        _ isTyping: Bool, at now: MonotonicTime, into steps: inout [ClientStep]
    ) {
        guard self.supports(.typing), self.onlineSince != nil, self.canSendCommands else { return }
        if isTyping {
            // The server clears a typing state after 6 s.
            if let sentAt = self.typingSentAt, now.since(sentAt) < .seconds(3) { return }
            self.typingSentAt = now
            self.send(.typing(true), into: &steps)
        } else if self.typingSentAt != nil {
            self.typingSentAt = nil
            self.send(.typing(false), into: &steps)
        }
    }

    /// The user has read everything up to this message. It is reported at most twice a second, and
    /// again after a reconnect.
    mutating func read(_ id: Int, at now: MonotonicTime, into steps: inout [ClientStep]) {
        guard id > self.readID else { return }
        self.readID = id
        self.flushReceipt(at: now, into: &steps)
    }

    private mutating func flushReceipt(at now: MonotonicTime, into steps: inout [ClientStep]) {
        guard self.supports(.receipts), self.onlineSince != nil, self.canSendCommands,
            self.readID > self.reportedReadID, now >= self.readReportAt
        else { return }
        self.reportedReadID = self.readID
        self.readReportAt = now.advanced(by: .milliseconds(500))
        self.send(.read(self.readID), into: &steps)
    }

    // MARK: Failures

    func answer(
        _ request: PendingRequest, _ answer: RequestAnswer, _ steps: inout [ClientStep]
    ) {
        if let id = request.id { steps.append(.answer(id, answer)) }
    }

    /// The server closed the connection because of a frame that is too long. The longest text in
    /// flight would end every connection, so it fails. Returns false if none is in flight.
    mutating func failLongest(into steps: inout [ClientStep]) -> Bool {
        let reason = "the message is longer than the server accepts"
        let message = self.outbox.first.flatMap { $0.tries > 0 ? $0 : nil }
        let edit = self.requests.firstIndex {
            if case .command(.edit(_, let text)) = $0.kind {
                text.utf8.count > message?.text.utf8.count ?? 0
            } else {
                false
            }
        }
        if let edit {
            self.answer(self.requests.remove(at: edit), .failed(.refused(reason)), &steps)
            return true
        }
        guard let message else { return false }
        self.fail(message.localID, reason, into: &steps)
        return true
    }

    /// The server refused a message for good.
    mutating func fail(_ localID: String, _ reason: String, into steps: inout [ClientStep]) {
        self.outbox.fail(localID, reason)
        if let item = self.outbox.item(localID) { steps.append(.save(item)) }
        steps.append(.emit(.outbox(localID: localID, .failed(reason))))
        if let excess = self.outbox.excessFailure, self.outbox.remove(excess) != nil {
            steps.append(.forget(excess))
            steps.append(.emit(.outbox(localID: excess, .discarded)))
        }
        guard ConfabError.refusal(reason) == .ended, !self.isEnded else { return }
        self.isEnded = true
        steps.append(.emit(.ended(by: nil)))
    }
}
