import ChatEngine
import ChatModel
import SeededRandom

/// Deliveries to clients, which the checker compares with the stored history.
extension Simulation {
    func deliver(_ delivery: Delivery, on loop: Int) {
        switch delivery {
        case .event(let feed, let event, let context):
            // The event is the requester's answer. Its position before the event decides whether
            // `isAlsoEvent` is correct.
            let requester = context.flatMap { self.loops[loop].requests[$0] }
            for number in self.loops[loop].subscribers[feed] ?? [] {
                self.receive(event, by: self.clients[number])
            }
            if let context {
                self.checker.expect(
                    requester != nil,
                    "request \(context) of loop \(self.loops[loop].id) was answered twice")
                self.receiveAnswer(context, event.answer, isAlsoEvent: true, on: loop)
            }
        case .answer(let context, let answer, let isAlsoEvent, _):
            self.receiveAnswer(context, answer, isAlsoEvent: isAlsoEvent, on: loop)
        case .page(let context, let page):
            self.receivePage(context, page, on: loop)
        case .pageFailed(let context):
            self.receivePage(context, nil, on: loop)
        }
    }

    // MARK: Answers

    private func takeRequest(_ context: RequestContextID, on loop: Int) -> (
        request: SimulatedLoop.SimulatedRequest, client: SimulatedClient, isConnected: Bool
    )? {
        guard let request = self.loops[loop].requests.removeValue(forKey: context) else {
            return nil
        }
        let client = self.clients[request.client]
        return (request, client, client.connection == request.connection && client.loop == loop)
    }

    private func receiveAnswer(
        _ context: RequestContextID, _ answer: ChatAnswer, isAlsoEvent: Bool, on loop: Int
    ) {
        guard let (request, client, isConnected) = self.takeRequest(context, on: loop) else {
            self.checker.expect(
                false,
                "request \(context) of loop \(self.loops[loop].id) was answered twice: "
                    + answer.summary
            )
            return
        }
        self.answerCount += 1
        let patience: Int64 = 5300
        // A stalled node cannot answer, and times its requests out when it resumes.
        let waited = self.now - max(request.requestedAt, self.loops[loop].frozenUntil)
        self.checker.expect(
            waited <= patience, "\(client.name) waited \(waited) ms for \(answer.summary)")
        self.log(
            "\(client.name) is answered: \(answer.summary)\(isAlsoEvent ? ", also an event" : "")"
                + (isConnected ? "" : ", after it disconnected")
        )
        // A request is not repeated after its connection has closed.
        if self.parameters.isFaultFree, isConnected, case .failed(.unavailable) = answer {
            self.checker.expect(false, "\(client.name) was refused although nothing failed")
        }
        switch (request.kind, answer) {
        case (.join, .joined(let joinResult)):
            if isConnected { self.joined(client, joinResult) }
        case (.join, .failed):
            if isConnected { client.state = .offline; client.feed = nil }
        case (.send(let body), .posted(let message, _)):
            self.checker.answered(message, to: body, of: client)
            if isConnected {
                self.checker.checkOrder(message, requested: context.rawValue, as: body, of: client)
            }
            if isConnected, client.state == .live,
                // After a rollback, a client's position differs from its loop's, and after a split
                // one of two histories is discarded.
                self.checker.history(of: client.conversation).rewritten.isEmpty, !self.store.isSplit
            {
                self.checker.expect(
                    isAlsoEvent == (message.sequence > request.through),
                    "\(client.name) at \(request.through) got an answer that \(message.sequence) "
                        + "is \(isAlsoEvent ? "" : "not ")also an event"
                )
            }
            if body.content.hasSuffix("goodbye") { client.hasFinalAnswer = true }
        case (.send(let body), .failed(let error)):
            self.checker.failed(error, body, of: client)
            let isEnded =
                error == .conversationEnded && self.checker.history(of: client.conversation).ended
            let isCalmNow = body.content.hasSuffix("goodbye")
            if isCalmNow { client.hasFinalAnswer = isEnded }
            self.checker.expect(
                !isCalmNow || isEnded, "\(client.name) got no final answer: \(error)")
        case (.amendment(let sequence), .amended(let message)):
            let versions = self.checker.versions(of: sequence, in: client.conversation)
            self.checker.expect(
                message.sequence == sequence && versions.contains { $0.state == message.state },
                "\(client.name) got an answer for a change of \(sequence) that is not stored")
            if isConnected, !isAlsoEvent { self.expectShown(message, to: client) }
        case (.annotation(let request), .amended(let message)):
            self.checker.acknowledged(request, message, to: client, at: self.now)
            if isConnected, !isAlsoEvent { self.expectShown(message, to: client) }
        case (.annotation, .failed), (.pins, .failed):
            break
        case (.pins, .pins(let messages)):
            self.receivePins(messages, by: client)
        case (.other("part"), .done):
            if isConnected { self.disconnect(client) }
        case (.amendment, .failed(let error)):
            self.checker.refused(error, to: client, askedToEnd: false)
        case (.other("end"), .failed(let error)):
            self.checker.refused(error, to: client, askedToEnd: true)
        case (.other, _):
            break
        default:
            self.checker.expect(
                false, "\(client.name) requested \(request.kind) and got \(answer.summary)")
        }
    }

    /// Checks that the client has the state of a message that was answered as no event to come.
    private func expectShown(_ message: Message, to client: SimulatedClient) {
        // The revisions of a loop are those of one history, until the store loses a part of it.
        guard client.state == .live, !self.store.isSplit,
            !self.checker.history(of: client.conversation).hasLostData,
            let known = client.screen.messages[message.sequence]
        else { return }
        self.checker.expect(
            known.revision >= message.revision,
            "\(client.name) shows \(message.sequence) r\(known.revision) and got an answer that "
                + "r\(message.revision) is not also an event")
    }

    /// Some joins are announced to another client, which enters from the position of the notice
    /// while others write.
    private func invite(from client: SimulatedClient, at position: SequenceNumber) {
        let others = self.clients.filter {
            $0.conversation == client.conversation && $0.state == .offline
        }
        guard !self.isCalm, self.random.happens(perMille: 200),
            let other = self.random.pick(others)
        else { return }
        other.invitation = position
        self.connect(other)
    }

    private func joined(_ client: SimulatedClient, _ joinResult: JoinResult) {
        defer { self.invite(from: client, at: joinResult.head) }
        guard let feed = client.feed else { return }
        let delivered = self.loops[client.loop].chat.deliveredThrough(feed)
        self.loops[client.loop].subscribers[feed, default: []].append(client.number)
        client.screen.online = Set(joinResult.present.map(\.person.id))
        client.screen.crowd = joinResult.isCrowd ? joinResult.presentCount : nil
        client.screen.isEnded = joinResult.isEnded
        guard let after = client.resumesAfter, after < delivered else {
            client.screen.through = delivered
            client.lastSeen = delivered
            client.state = .live
            return
        }
        client.state = .replaying
        client.screen.through = after
        self.continueReplay(client, through: after)
    }

    // MARK: Pages

    private func receivePage(_ context: RequestContextID, _ page: MessagePage?, on loop: Int) {
        guard let (request, client, isConnected) = self.takeRequest(context, on: loop) else {
            self.checker.expect(false, "page \(context) was delivered twice")
            return
        }
        guard isConnected, client.isJoined else { return }
        switch (request.kind, page) {
        case (.page, let page?):
            guard context.rawValue > client.lastRequestBeforePage else { return }
            client.lastRequestBeforePage = self.loops[loop].lastContext
            for message in page.messages { self.checker.check(message, seenBy: client) }
            self.report(page.messages, by: client)
        case (.replay, let page?):
            self.replayed(page, to: client)
        case (.replay, nil):
            // A disconnect is better than a gap.
            self.disconnect(client)
        default:
            break
        }
    }

    private func replayed(_ page: MessagePage, to client: SimulatedClient) {
        guard let feed = client.feed else { return }
        let delivered = self.loops[client.loop].chat.deliveredThrough(feed)
        var through = client.screen.through
        let due = page.messages.filter { $0.sequence > through && $0.sequence <= delivered }
        for message in due {
            self.log(
                "\(client.name) catches up with \(message.sequence) \"\(message.body.content)\"")
            self.checker.delivered(message, to: client)
            through = message.sequence
        }
        // All messages in between were trimmed.
        if due.isEmpty { through = delivered }
        self.report(due, by: client)
        self.continueReplay(client, through: through)
    }

    private func report(_ messages: [Message], by client: SimulatedClient) {
        guard let feed = client.feed, let first = messages.first, let last = messages.last,
            self.random.happens(perMille: 800)
        else {
            return
        }
        self.loops[client.loop].chat.recordDelivery(
            in: feed, to: client.person.id, of: first.sequence...last.sequence)
    }

    // MARK: Events

    private func receive(_ event: ChatEvent, by client: SimulatedClient) {
        switch event {
        case .posted(let message):
            guard client.state == .live else { return }
            self.log("\(client.name) receives \(message.sequence) \"\(message.body.content)\"")
            self.checker.delivered(message, to: client)
            self.report([message], by: client)
        case .edited(let message), .deleted(let message), .reacted(let message),
            .pinned(let message), .unpinned(let message):
            self.log("\(client.name) receives \(message.sequence) \(message.state)")
            self.checker.amended(message, for: client)
        case .presence(let changes):
            self.recordPresence(changes, of: client)
            client.screen.crowd = nil
        case .crowd(let online, let changes):
            client.screen.crowd = online
            for change in changes { client.screen.record(change) }
        case .typing(let person, let isTyping):
            if isTyping {
                client.screen.typingUsers.insert(person.id)
            } else {
                client.screen.typingUsers.remove(person.id)
            }
        case .status(let author, let status, let sequences, _):
            guard author == client.person.id else { return }
            self.log("\(client.name) receives: \(sequences) \(status)")
            self.checker.status(status, of: sequences, for: client, at: self.now)
        case .left(let member, _):
            // As in the gateway, a user who is not a member any more receives nothing.
            if member.user == client.person.id { self.disconnect(client) }
        case .ended:
            client.screen.isEnded = true
        case .created, .joined, .renamed, .updated, .read:
            break
        }
    }

    private func recordPresence(_ changes: [PresenceChange], of client: SimulatedClient) {
        for change in changes where change.person.id != client.person.id {
            self.log(
                "\(client.name) receives: \(change.person.id) "
                    + (change.isOnline ? "online" : "offline")
            )
            if self.parameters.limits.crowdAbove > 100 {
                self.checker.expect(
                    client.screen.online.contains(change.person.id) != change.isOnline,
                    "\(client.name) received twice that \(change.person.id) "
                        + "is \(change.isOnline ? "online" : "offline")"
                )
            }
            client.screen.record(change)
        }
    }
}

extension ClientScreen {
    mutating func record(_ change: PresenceChange) {
        if change.isOnline {
            self.online.insert(change.person.id)
        } else {
            self.online.remove(change.person.id)
        }
    }
}

extension ChatEvent {
    /// The answer to the request that caused the event.
    var answer: ChatAnswer {
        switch self {
        case .posted(let message): .posted(message)
        case .edited(let message), .deleted(let message), .reacted(let message),
            .pinned(let message), .unpinned(let message):
            .amended(message)
        default: .done
        }
    }
}
