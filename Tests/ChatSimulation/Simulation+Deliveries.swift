import ChatModel
import Cluster
import RepeatableChance

/// What loops have for their clients: shown, and held against the historian's knowledge.
extension Simulation {
    func deliver(_ delivery: Delivery, on loop: Int) {
        switch delivery {
        case .event(let feed, let event, let context):
            // Whoever asked is answered by the event; where it stood before it says whether that is true.
            let asker = context.flatMap { self.loops[loop].questions[$0] }
            for number in self.loops[loop].listeners[feed] ?? [] { self.show(event, to: self.clients[number]) }
            if let context {
                self.historian.expect(asker != nil, "question \(context) of loop \(self.loops[loop].id) was answered twice")
                self.answered(context, event.answer, isShown: true, on: loop)
            }
        case .answer(let context, let answer, let isShown):
            self.answered(context, answer, isShown: isShown, on: loop)
        case .page(let context, let page):
            self.paged(context, page, on: loop)
        case .pageFailed(let context):
            self.paged(context, nil, on: loop)
        }
    }

    // MARK: Answers

    private func take(_ context: UInt64, on loop: Int) -> (question: SimulatedLoop.Question, client: SimulatedClient, isThere: Bool)? {
        guard let question = self.loops[loop].questions.removeValue(forKey: context) else { return nil }
        let client = self.clients[question.client]
        return (question, client, client.connection == question.connection && client.loop == loop)
    }

    private func answered(_ context: UInt64, _ answer: ChatAnswer, isShown: Bool, on loop: Int) {
        guard let (question, client, isThere) = self.take(context, on: loop) else {
            self.historian.expect(false, "question \(context) of loop \(self.loops[loop].id) was answered twice: \(answer.told)")
            return
        }
        self.answers += 1
        let patience: Int64 = 5300
        // A node that stood still could not say anything, and gives up right after.
        let waited = self.now - max(question.askedAt, self.loops[loop].frozenUntil)
        self.historian.expect(waited <= patience, "\(client.name) waited \(waited) ms for \(answer.told)")
        self.tell("\(client.name) is told: \(answer.told)\(isShown ? ", shown" : "")\(isThere ? "" : ", and is gone")")
        if self.circumstances.isFair, case .failed(.unavailable) = answer {
            self.historian.expect(false, "\(client.name) was turned away though nothing failed")
        }
        switch (question.kind, answer) {
        case (.entrance, .entered(let entered)):
            if isThere { self.cameIn(client, entered) }
        case (.entrance, .failed):
            if isThere { client.state = .away; client.feed = nil }
        case (.send(let body), .posted(let message)):
            self.historian.answered(message, to: body, of: client)
            if isThere { self.historian.ordered(message, asked: context, as: body, of: client) }
            if isThere, client.state == .live, question.connection == client.connection,
                // Who has gone back stands elsewhere than its loop; of what two masters have taken one's numbers come to nothing.
                self.historian.past(of: client.conversation).rewritten.isEmpty, !self.store.isSplit
            {
                self.historian.expect(
                    isShown == (message.sequence > question.through),
                    "\(client.name) asked at \(question.through) and was told that \(message.sequence) is \(isShown ? "" : "not ")shown")
            }
            if body.content.hasSuffix("goodbye") { client.hasSaidGoodbye = true }
        case (.send(let body), .failed(let error)):
            self.historian.failed(error, body, of: client)
            let isEnded = error == .conversationEnded && self.historian.past(of: client.conversation).ended
            let isCalmNow = body.content.hasSuffix("goodbye")
            if isCalmNow { client.hasSaidGoodbye = isEnded }
            self.historian.expect(!isCalmNow || isEnded, "\(client.name) could not say goodbye: \(error)")
        case (.amendment(let sequence), .amended(let message)):
            let versions = self.historian.versions(of: sequence, in: client.conversation)
            self.historian.expect(
                message.sequence == sequence && versions.contains { $0.state == message.state },
                "\(client.name) was told of a change of \(sequence) that is not stored")
        case (.other("part"), .done):
            if isThere { self.disconnect(client) }
        case (.amendment, .failed(let error)):
            self.historian.refused(error, to: client, askedToEnd: false)
        case (.other("end"), .failed(let error)):
            self.historian.refused(error, to: client, askedToEnd: true)
        case (.other, _):
            break
        default:
            self.historian.expect(false, "\(client.name) asked \(question.kind) and was told \(answer.told)")
        }
    }

    private func cameIn(_ client: SimulatedClient, _ entered: Entered) {
        guard let feed = client.feed else { return }
        let shown = self.loops[client.loop].chat.shownThrough(feed)
        self.loops[client.loop].listeners[feed, default: []].append(client.number)
        client.picture.online = Set(entered.present.map(\.person.id))
        client.picture.crowd = entered.isCrowd ? entered.presentCount : nil
        client.picture.isEnded = entered.isEnded
        guard let after = client.resumesAfter, after < shown else {
            client.picture.through = shown
            client.lastSeen = shown
            client.state = .live
            return
        }
        client.state = .replaying
        client.picture.through = after
        self.continueReplay(client, through: after)
    }

    // MARK: Pages

    private func paged(_ context: UInt64, _ page: Page?, on loop: Int) {
        guard let (question, client, isThere) = self.take(context, on: loop) else {
            self.historian.expect(false, "page \(context) came twice")
            return
        }
        guard isThere, client.isIn else { return }
        switch (question.kind, page) {
        case (.page, let page?):
            for message in page.messages { self.historian.look(at: message, by: client) }
            self.report(page.messages, by: client)
        case (.replay, let page?):
            self.replayed(page, to: client)
        case (.replay, nil):
            // Better no connection than one with a gap.
            self.disconnect(client)
        default:
            break
        }
    }

    private func replayed(_ page: Page, to client: SimulatedClient) {
        guard let feed = client.feed else { return }
        let shown = self.loops[client.loop].chat.shownThrough(feed)
        var through = client.picture.through
        let due = page.messages.filter { $0.sequence > through && $0.sequence <= shown }
        for message in due {
            self.tell("\(client.name) catches up with \(message.sequence) \"\(message.body.content)\"")
            self.historian.shown(message, to: client)
            through = message.sequence
        }
        // Everything between has been dropped meanwhile.
        if due.isEmpty { through = shown }
        self.report(due, by: client)
        self.continueReplay(client, through: through)
    }

    private func report(_ messages: [Message], by client: SimulatedClient) {
        guard let feed = client.feed, let first = messages.first, let last = messages.last, self.chance.happens(perMille: 800) else {
            return
        }
        self.loops[client.loop].chat.delivered(feed, to: client.person.id, first.sequence...last.sequence)
    }

    // MARK: Events

    private func show(_ event: ChatEvent, to client: SimulatedClient) {
        switch event {
        case .posted(let message):
            guard client.state == .live else { return }
            self.tell("\(client.name) sees \(message.sequence) \"\(message.body.content)\"")
            self.historian.shown(message, to: client)
            self.report([message], by: client)
        case .edited(let message), .deleted(let message):
            self.tell("\(client.name) sees \(message.sequence) \(message.state)")
            self.historian.amended(message, for: client)
        case .presence(let changes):
            self.notePresence(changes, of: client)
            client.picture.crowd = nil
        case .crowd(let online, let changes):
            client.picture.crowd = online
            for change in changes { client.picture.note(change) }
        case .typing(let person, let isTyping):
            if isTyping { client.picture.typists.insert(person.id) } else { client.picture.typists.remove(person.id) }
        case .status(let author, let status, let sequences, _):
            guard author == client.person.id else { return }
            self.tell("\(client.name) hears that \(sequences) are \(status)")
            self.historian.status(status, of: sequences, for: client, at: self.now)
        case .left(let member, _):
            // As the gateway has it: who is no member hears no more.
            if member.user == client.person.id { self.disconnect(client) }
        case .ended:
            client.picture.isEnded = true
        case .created, .joined, .renamed, .read:
            break
        }
    }

    private func notePresence(_ changes: [PresenceChange], of client: SimulatedClient) {
        for change in changes where change.person.id != client.person.id {
            self.tell("\(client.name) hears that \(change.person.id) is \(change.isOnline ? "online" : "offline")")
            if self.circumstances.limits.crowdAbove > 100 {
                self.historian.expect(
                    client.picture.online.contains(change.person.id) != change.isOnline,
                    "\(client.name) was told twice that \(change.person.id) is \(change.isOnline ? "online" : "offline")")
            }
            client.picture.note(change)
        }
    }
}

extension Picture {
    mutating func note(_ change: PresenceChange) {
        if change.isOnline { self.online.insert(change.person.id) } else { self.online.remove(change.person.id) }
    }
}

extension ChatEvent {
    /// What it answers to the one who asked for it.
    var answer: ChatAnswer {
        switch self {
        case .posted(let message): .posted(message)
        case .edited(let message), .deleted(let message): .amended(message)
        default: .done
        }
    }
}
