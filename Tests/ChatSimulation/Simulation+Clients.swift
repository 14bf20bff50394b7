import Bytes
import ChatModel
import Cluster
import RepeatableChance

/// What users do.
extension Simulation {
    func act(_ client: SimulatedClient) {
        guard !self.isCalm else { return }
        self.agenda.add(.act(client.number), at: self.now + self.chance.number(self.circumstances.pause))
        switch client.state {
        case .away:
            if self.chance.happens(perMille: 300) { self.connect(client) }
        case .entering:
            if self.chance.happens(perMille: 50) { self.disconnect(client) }
        case .replaying:
            if self.chance.happens(perMille: 30) { self.disconnect(client) }
        case .live:
            self.converse(client)
        }
    }

    private func converse(_ client: SimulatedClient) {
        switch self.chance.number(0...999) {
        case 0..<400: self.send(client)
        case 400..<500: self.read(client)
        case 500..<600: self.type(client)
        case 600..<680: self.amend(client)
        case 680..<760: self.turnPages(client)
        case 760..<780: self.ask(.describe(by: client.actor), by: client, .other("describe"))
        case 780..<784: self.ask(.part(client.person.id), by: client, .other("part"))
        case 784..<786: self.ask(.end(by: client.actor), by: client, .other("end"))
        case 786..<790: self.ask(.join(client.entrance), by: client, .other("join"))
        case 790..<850: self.disconnect(client)
        default: break
        }
    }

    // MARK: Coming and going

    func connect(_ client: SimulatedClient) {
        client.connection += 1
        client.loop = self.chance.pick(self.loops.indices.filter { !self.loops[$0].isDead })!
        client.picture = Picture()
        client.answeredSends = []
        client.resumesAfter = self.chance.happens(perMille: 600) ? client.lastSeen : nil
        if client.resumesAfter == nil, self.chance.happens(perMille: 150) { client.resumesAfter = 0 }
        let context = self.note(.entrance, of: client)
        let (feed, request) = self.loops[client.loop].chat.enter(
            client.conversation, client.entrance, context: context, at: self.moment(of: client.loop))
        client.feed = feed
        client.state = .entering(request)
        self.tell(
            "\(client.name) enters \(client.conversation.id) on \(self.loops[client.loop].id)\(client.resumesAfter.map { " after \($0)" } ?? "")"
        )
        self.wantTurn(client.loop)
    }

    func disconnect(_ client: SimulatedClient) {
        guard let feed = client.feed else { return }
        self.tell("\(client.name) goes")
        switch client.state {
        case .away: return
        case .entering(let request):
            self.loops[client.loop].chat.cancelEntrance(request)
            for context in self.loops[client.loop].questions.keys.sorted() {
                guard let question = self.loops[client.loop].questions[context], case .entrance = question.kind else { continue }
                if question.client == client.number { self.loops[client.loop].questions[context]?.isCancelled = true }
            }
        case .replaying, .live:
            self.loops[client.loop].listeners[feed]?.removeAll { $0 == client.number }
            self.loops[client.loop].chat.leave(feed, client.person.id)
        }
        client.state = .away
        client.feed = nil
        client.connection += 1
        self.wantTurn(client.loop)
    }

    // MARK: Acts

    private func note(_ kind: SimulatedLoop.Question.Kind, of client: SimulatedClient) -> UInt64 {
        self.loops[client.loop].note(
            .init(kind: kind, client: client.number, connection: client.connection, askedAt: self.now, through: client.picture.through))
    }

    private func ask(_ command: ChatCommand, by client: SimulatedClient, _ kind: SimulatedLoop.Question.Kind) {
        let context = self.note(kind, of: client)
        self.tell("\(client.name): \(command.told)")
        self.historian.asked(command, in: client.conversation)
        if case .edit(let sequence, _, _) = command { client.hasEdited.insert(sequence) }
        let feed = self.chance.happens(perMille: 700) ? client.feed : nil
        self.loops[client.loop].chat.ask(
            command, in: client.conversation, through: feed, context: context, at: self.moment(of: client.loop))
        self.wantTurn(client.loop)
    }

    private func send(_ client: SimulatedClient) {
        client.sends += 1
        let content = "\(client.number) says \(client.sends)"
        var id: ClientID?
        let choice = self.chance.number(0...99)
        // Ids belong to the user: another device of the same user may repeat them.
        if choice < 50 { id = ClientID(given: ByteString("\(client.number)-\(client.sends)")) }
        if choice >= 80 {
            let sibling = self.clients.filter { $0.person.id == client.person.id }
            let back = min(client.sends, self.chance.pick([1, 1, 2, 3, 30])!)
            id = ClientID(given: ByteString("\(self.chance.pick(sibling)!.number)-\(client.sends - back + 1)"))
        }
        let body = MessageBody(author: client.person, clientID: id, content: content)
        self.ask(.post(body), by: client, .send(body))
        if id != nil, self.chance.happens(perMille: 100) {
            // Sent twice at once, with other words.
            let again = MessageBody(author: client.person, clientID: id, content: content + ", or not")
            self.ask(.post(again), by: client, .send(again))
        }
    }

    private func read(_ client: SimulatedClient) {
        guard client.picture.through > 0 else { return }
        let through = client.picture.through
        let sequences = (0..<self.chance.number(1...3)).map { _ in max(0, through - self.chance.number(0...4)) }
        self.ask(.read(sequences, by: client.person.id), by: client, .other("read"))
    }

    private func type(_ client: SimulatedClient) {
        let command = ChatCommand.typing(self.chance.happens(perMille: 700), by: client.person)
        if self.chance.happens(perMille: 500) {
            self.ask(command, by: client, .other("typing"))
        } else {
            self.tell("\(client.name): \(command.told)")
            self.loops[client.loop].chat.ask(command, in: client.conversation, context: nil, at: self.moment(of: client.loop))
            self.wantTurn(client.loop)
        }
    }

    private func amend(_ client: SimulatedClient) {
        let own = client.picture.messages.values.filter { $0.body.author.id == client.person.id }.map(\.sequence).sorted()
        var sequence = self.chance.pick(own) ?? 1
        if self.chance.happens(perMille: 100) { sequence = self.chance.number(0...(client.picture.through + 1)) }
        client.sends += 1
        if self.chance.happens(perMille: 600) {
            let content = "\(client.number) corrects \(client.sends)"
            self.ask(.edit(sequence, content: content, by: client.actor), by: client, .amendment(sequence))
        } else {
            self.ask(.delete(sequence, by: client.actor), by: client, .amendment(sequence))
        }
    }

    private func turnPages(_ client: SimulatedClient) {
        let context = self.note(.page, of: client)
        let range = self.chance.pick([PageRange.newest, .before(client.picture.through), .after(max(0, client.picture.through - 10))])!
        self.loops[client.loop].chat.read(client.conversation, range, limit: self.chance.number(1...20), context: context)
        self.wantTurn(client.loop)
    }

    /// The last thing that a client says, which everybody is to hear and it is to be answered.
    func sayGoodbye(_ client: SimulatedClient) {
        client.sends += 1
        let body = MessageBody(author: client.person, clientID: nil, content: "\(client.number) says goodbye")
        self.ask(.post(body), by: client, .send(body))
    }

    // MARK: Replay

    func continueReplay(_ client: SimulatedClient, through: SequenceNumber) {
        guard let feed = client.feed, client.state == .replaying else { return }
        guard through < self.loops[client.loop].chat.shownThrough(feed) else {
            self.tell("\(client.name) is live from \(through)")
            client.picture.through = max(through, client.picture.through)
            client.state = .live
            return
        }
        let context = self.note(.replay, of: client)
        self.loops[client.loop].chat.read(client.conversation, .after(through), limit: self.chance.number(1...60), context: context)
        self.wantTurn(client.loop)
    }
}

extension SimulatedClient {
    var actor: Actor { Actor(person: self.person, isAdmin: false) }

    var entrance: Entrance {
        Entrance(actor: self.actor, isListed: self.isListed, kind: self.conversation.id == "talk-0" ? .rooms : .conversations)
    }
}
