import ChatModel
import Cluster
import SeededRandom

/// Deliveries to clients, which the checker compares with the stored history.
extension Simulation {
    func deliver(_ delivery: Delivery, on loop: Int) {
        switch delivery {
        case .event(let feed, let event, let context):
            // The event is the requester's answer. Its position before the event decides whether
            // `isAlsoEvent` is correct.
            let asker = context.flatMap { self.loops[loop].requests[$0] }
            for number in self.loops[loop].subscribers[feed] ?? [] {
                self.receive(event, by: self.clients[number])
            }
            if let context {
                self.checker.expect(
                    asker != nil,
                    "question \(context) of loop \(self.loops[loop].id) was answered twice")
                self.receiveAnswer(context, event.answer, isAlsoEvent: true, on: loop)
            }
        case .answer(let context, let answer, let isShown):
            self.receiveAnswer(context, answer, isAlsoEvent: isShown, on: loop)
        case .page(let context, let page):
            self.receivePage(context, page, on: loop)
        case .pageFailed(let context):
            self.receivePage(context, nil, on: loop)
        }
    }

    // MARK: Answers

    private func takeRequest(_ context: UInt64, on loop: Int) -> (
        question: SimulatedLoop.SimulatedRequest, client: SimulatedClient, isThere: Bool
    )? {
        guard let question = self.loops[loop].requests.removeValue(forKey: context) else {
            return nil
        }
        let client = self.clients[question.client]
        return (question, client, client.connection == question.connection && client.loop == loop)
    }

    private func receiveAnswer(
        _ context: UInt64, _ answer: ChatAnswer, isAlsoEvent isShown: Bool, on loop: Int
    ) {
        guard let (question, client, isThere) = self.takeRequest(context, on: loop) else {
            self.checker.expect(
                false,
                "question \(context) of loop \(self.loops[loop].id) was answered twice: \(answer.summary)"
            )
            return
        }
        self.answerCount += 1
        let patience: Int64 = 5300
        // A stalled node cannot answer, and times its requests out when it resumes.
        let waited = self.now - max(question.requestedAt, self.loops[loop].frozenUntil)
        self.checker.expect(
            waited <= patience, "\(client.name) waited \(waited) ms for \(answer.summary)")
        self.log(
            "\(client.name) is told: \(answer.summary)\(isShown ? ", shown" : "")\(isThere ? "" : ", and is gone")"
        )
        if self.parameters.isFaultFree, case .failed(.unavailable) = answer {
            self.checker.expect(false, "\(client.name) was turned away though nothing failed")
        }
        switch (question.kind, answer) {
        case (.join, .joined(let entered)):
            if isThere { self.joined(client, entered) }
        case (.join, .failed):
            if isThere { client.state = .offline; client.feed = nil }
        case (.send(let body), .posted(let message)):
            self.checker.answered(message, to: body, of: client)
            if isThere {
                self.checker.checkOrder(message, requested: context, as: body, of: client)
            }
            if isThere, client.state == .live, question.connection == client.connection,
                // After a rollback, a client's position differs from its loop's, and after a split
                // one of two histories is discarded.
                self.checker.history(of: client.conversation).rewritten.isEmpty, !self.store.isSplit
            {
                self.checker.expect(
                    isShown == (message.sequence > question.through),
                    "\(client.name) asked at \(question.through) and was told that \(message.sequence) is \(isShown ? "" : "not ")shown"
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
                !isCalmNow || isEnded, "\(client.name) could not say goodbye: \(error)")
        case (.amendment(let sequence), .amended(let message)):
            let versions = self.checker.versions(of: sequence, in: client.conversation)
            self.checker.expect(
                message.sequence == sequence && versions.contains { $0.state == message.state },
                "\(client.name) was told of a change of \(sequence) that is not stored")
        case (.other("part"), .done):
            if isThere { self.disconnect(client) }
        case (.amendment, .failed(let error)):
            self.checker.refused(error, to: client, askedToEnd: false)
        case (.other("end"), .failed(let error)):
            self.checker.refused(error, to: client, askedToEnd: true)
        case (.other, _):
            break
        default:
            self.checker.expect(
                false, "\(client.name) asked \(question.kind) and was told \(answer.summary)")
        }
    }

    private func joined(_ client: SimulatedClient, _ entered: JoinResult) {
        guard let feed = client.feed else { return }
        let shown = self.loops[client.loop].chat.deliveredThrough(feed)
        self.loops[client.loop].subscribers[feed, default: []].append(client.number)
        client.screen.online = Set(entered.present.map(\.person.id))
        client.screen.crowd = entered.isCrowd ? entered.presentCount : nil
        client.screen.isEnded = entered.isEnded
        guard let after = client.resumesAfter, after < shown else {
            client.screen.through = shown
            client.lastSeen = shown
            client.state = .live
            return
        }
        client.state = .replaying
        client.screen.through = after
        self.continueReplay(client, through: after)
    }

    // MARK: Pages

    private func receivePage(_ context: UInt64, _ page: MessagePage?, on loop: Int) {
        guard let (question, client, isThere) = self.takeRequest(context, on: loop) else {
            self.checker.expect(false, "page \(context) came twice")
            return
        }
        guard isThere, client.isJoined else { return }
        switch (question.kind, page) {
        case (.page, let page?):
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
        let shown = self.loops[client.loop].chat.deliveredThrough(feed)
        var through = client.screen.through
        let due = page.messages.filter { $0.sequence > through && $0.sequence <= shown }
        for message in due {
            self.log(
                "\(client.name) catches up with \(message.sequence) \"\(message.body.content)\"")
            self.checker.delivered(message, to: client)
            through = message.sequence
        }
        // All messages in between were trimmed.
        if due.isEmpty { through = shown }
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
            self.log("\(client.name) sees \(message.sequence) \"\(message.body.content)\"")
            self.checker.delivered(message, to: client)
            self.report([message], by: client)
        case .edited(let message), .deleted(let message):
            self.log("\(client.name) sees \(message.sequence) \(message.state)")
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
            self.log("\(client.name) hears that \(sequences) are \(status)")
            self.checker.status(status, of: sequences, for: client, at: self.now)
        case .left(let member, _):
            // As in the gateway, a user who is not a member any more receives nothing.
            if member.user == client.person.id { self.disconnect(client) }
        case .ended:
            client.screen.isEnded = true
        case .created, .joined, .renamed, .read:
            break
        }
    }

    private func recordPresence(_ changes: [PresenceChange], of client: SimulatedClient) {
        for change in changes where change.person.id != client.person.id {
            self.log(
                "\(client.name) hears that \(change.person.id) is \(change.isOnline ? "online" : "offline")"
            )
            if self.parameters.limits.crowdAbove > 100 {
                self.checker.expect(
                    client.screen.online.contains(change.person.id) != change.isOnline,
                    "\(client.name) was told twice that \(change.person.id) is \(change.isOnline ? "online" : "offline")"
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
        case .edited(let message), .deleted(let message): .amended(message)
        default: .done
        }
    }
}
