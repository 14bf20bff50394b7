import Bytes
import ChatEngine
import ChatModel
import SeededRandom

/// Actions of users.
extension Simulation {
    func act(_ client: SimulatedClient) {
        guard !self.isCalm else { return }
        self.queue.add(
            .clientActs(client.number), at: self.now + self.random.number(self.parameters.pause))
        switch client.state {
        case .offline:
            if self.random.happens(perMille: 300) { self.connect(client) }
        case .joining:
            if self.random.happens(perMille: 50) { self.disconnect(client) }
        case .replaying:
            if self.random.happens(perMille: 30) { self.disconnect(client) }
        case .live:
            self.actOnline(client)
        }
    }

    private func actOnline(_ client: SimulatedClient) {
        switch self.random.number(0...999) {
        case 0..<400: self.send(client)
        case 400..<500: self.read(client)
        case 500..<600: self.type(client)
        case 600..<680: self.amend(client)
        case 680..<760: self.readPage(client)
        case 760..<780: self.submit(.describe(by: client.actor), by: client, .other("describe"))
        case 780..<784: self.submit(.leave(client.person.id), by: client, .other("part"))
        case 784..<786: self.submit(.end(by: client.actor), by: client, .other("end"))
        case 786..<790: self.submit(.join(client.joinRequest), by: client, .other("join"))
        case 790..<796: self.manageMember(as: client)
        case 796..<850: self.disconnect(client)
        case 850..<920: self.react(client)
        case 920..<945: self.pin(client)
        case 945..<950: self.requestPins(client)
        default: break
        }
    }

    // MARK: Connecting and disconnecting

    func connect(_ client: SimulatedClient) {
        client.connection += 1
        client.loop = self.random.pick(self.loops.indices.filter { !self.loops[$0].isDead })!
        client.screen = ClientScreen()
        client.answeredSends = []
        client.lastRequestBeforePage = 0
        client.resumesAfter = self.random.happens(perMille: 600) ? client.lastSeen : nil
        if client.resumesAfter == nil, self.random.happens(perMille: 150) {
            client.resumesAfter = 0
        }
        if let invitation = client.invitation {
            client.invitation = nil
            client.resumesAfter = invitation
        }
        let context = self.addRequest(.join, of: client)
        let (feed, request) = self.loops[client.loop].chat.subscribe(
            to: client.conversation, with: client.joinRequest, context: context,
            at: self.clock(of: client.loop))
        client.feed = feed
        client.state = .joining(request)
        self.log(
            "\(client.name) joins \(client.conversation.id) on \(self.loops[client.loop].id)"
                + (client.resumesAfter.map { " after \($0)" } ?? "")
        )
        self.scheduleTurn(client.loop)
    }

    func disconnect(_ client: SimulatedClient) {
        guard let feed = client.feed else { return }
        self.log("\(client.name) disconnects")
        switch client.state {
        case .offline: return
        case .joining(let request):
            self.loops[client.loop].chat.cancelSubscribe(request)
            let contexts = self.loops[client.loop].requests.keys.sorted {
                $0.rawValue < $1.rawValue
            }
            for context in contexts {
                guard let request = self.loops[client.loop].requests[context],
                    case .join = request.kind
                else { continue }
                if request.client == client.number {
                    self.loops[client.loop].requests[context]?.isCancelled = true
                }
            }
        case .replaying, .live:
            self.loops[client.loop].subscribers[feed]?.removeAll { $0 == client.number }
            self.loops[client.loop].chat.unsubscribe(from: feed, user: client.person.id)
        }
        client.state = .offline
        client.feed = nil
        client.connection += 1
        self.scheduleTurn(client.loop)
    }

    // MARK: Actions

    private func addRequest(_ kind: SimulatedLoop.SimulatedRequest.Kind, of client: SimulatedClient)
        -> RequestContextID
    {
        self.loops[client.loop].add(
            .init(
                kind: kind, client: client.number, connection: client.connection,
                requestedAt: self.now, through: client.screen.through))
    }

    func submit(
        _ command: ChatCommand, by client: SimulatedClient,
        _ kind: SimulatedLoop.SimulatedRequest.Kind
    ) {
        let context = self.addRequest(kind, of: client)
        self.log("\(client.name): \(command.summary)")
        self.checker.requested(command, in: client.conversation)
        if case .edit(let sequence, _, _) = command { client.hasEdited.insert(sequence) }
        let feed = self.random.happens(perMille: 700) ? client.feed : nil
        self.loops[client.loop].chat.submit(
            command, in: client.conversation, through: feed, context: context,
            at: self.clock(of: client.loop))
        self.scheduleTurn(client.loop)
    }

    private func send(_ client: SimulatedClient) {
        client.sends += 1
        let content = "\(client.number) says \(client.sends)"
        var id: ClientMessageID?
        let choice = self.random.number(0...99)
        // Ids belong to the user, so another device of the same user may repeat them.
        if choice < 50 {
            id = ClientMessageID(given: ByteString("\(client.number)-\(client.sends)"))
        }
        if choice >= 80 {
            let sibling = self.clients.filter { $0.person.id == client.person.id }
            let back = min(client.sends, self.random.pick([1, 1, 2, 3, 30])!)
            id = ClientMessageID(
                given: ByteString("\(self.random.pick(sibling)!.number)-\(client.sends - back + 1)")
            )
        }
        let body = MessageBody(
            author: client.person, clientMessageID: id, content: content,
            annotations: self.makeAnnotations(for: client))
        self.submit(.post(body), by: client, .send(body))
        if id != nil, self.random.happens(perMille: 100) {
            // Two sends with the same id and different content.
            let again = MessageBody(
                author: client.person, clientMessageID: id, content: content + ", or not")
            self.submit(.post(again), by: client, .send(again))
        }
    }

    private func read(_ client: SimulatedClient) {
        guard client.screen.through > 0 else { return }
        let through = client.screen.through
        let sequences = (0..<self.random.number(1...3)).map { _ in
            max(0, through - self.random.number(0...4))
        }
        self.submit(.read(sequences, by: client.person.id), by: client, .other("read"))
    }

    private func type(_ client: SimulatedClient) {
        let command = ChatCommand.typing(self.random.happens(perMille: 700), by: client.person)
        if self.random.happens(perMille: 500) {
            self.submit(command, by: client, .other("typing"))
        } else {
            self.log("\(client.name): \(command.summary)")
            self.loops[client.loop].chat.submit(
                command, in: client.conversation, context: nil, at: self.clock(of: client.loop))
            self.scheduleTurn(client.loop)
        }
    }

    private func amend(_ client: SimulatedClient) {
        let own = client.screen.messages.values.filter { $0.body.author.id == client.person.id }
            .map(\.sequence).sorted()
        var sequence = self.random.pick(own) ?? 1
        if self.random.happens(perMille: 100) {
            sequence = self.random.number(0...(client.screen.through + 1))
        }
        client.sends += 1
        if self.random.happens(perMille: 600) {
            let content = "\(client.number) corrects \(client.sends)"
            self.submit(
                .edit(sequence, content: content, by: client.actor), by: client,
                .amendment(sequence))
        } else {
            self.submit(.delete(sequence, by: client.actor), by: client, .amendment(sequence))
        }
    }

    /// Removes or adds a user of the conversation, as an admin.
    private func manageMember(as client: SimulatedClient) {
        let others = self.clients.filter { $0.conversation == client.conversation }
        let person = self.random.pick(others)!.person
        let admin = Principal(person: client.person, isAdmin: true)
        self.submit(
            self.random.happens(perMille: 500)
                ? .removeMember(person.id, by: admin) : .addMember(person, by: admin),
            by: client, .other("member"))
    }

    private func readPage(_ client: SimulatedClient) {
        let context = self.addRequest(.page, of: client)
        let range = self.random.pick([
            PageRange.newest, .before(client.screen.through),
            .after(max(0, client.screen.through - 10)),
        ])!
        self.loops[client.loop].chat.readPage(
            client.conversation, range, limit: self.pageLimit(20), context: context)
        self.scheduleTurn(client.loop)
    }

    /// Often the bytes end the page, and not the number of messages.
    private func pageLimit(_ messages: Int) -> PageLimit {
        PageLimit(
            messages: self.random.number(1...messages),
            bytes: self.random.number(1...(25 * messages)))
    }

    /// Sends the client's last message. It must be answered, and delivered to all subscribers.
    func sendFinalMessage(_ client: SimulatedClient) {
        client.sends += 1
        let body = MessageBody(
            author: client.person, clientMessageID: nil, content: "\(client.number) says goodbye")
        self.submit(.post(body), by: client, .send(body))
        self.requestPins(client)
    }

    // MARK: Replay

    func continueReplay(_ client: SimulatedClient, through: SequenceNumber) {
        guard let feed = client.feed, client.state == .replaying else { return }
        guard through < self.loops[client.loop].chat.deliveredThrough(feed) else {
            self.log("\(client.name) is live from \(through)")
            client.screen.through = max(through, client.screen.through)
            client.state = .live
            return
        }
        let context = self.addRequest(.replay, of: client)
        self.loops[client.loop].chat.readPage(
            client.conversation, .after(through), limit: self.pageLimit(200), context: context)
        self.scheduleTurn(client.loop)
    }
}

extension SimulatedClient {
    var actor: Principal { Principal(person: self.person, isAdmin: false) }

    var joinRequest: JoinRequest {
        JoinRequest(
            principal: Principal(person: self.person, isAdmin: true),
            isListedInToken: self.isListed,
            template: self.conversation.id == "talk-0" ? .listed : .closed)
    }
}
