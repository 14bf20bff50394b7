import Bytes
import ChatCore
import ChatModel
import ChatSimulation
import Cluster
import DialectKit
import EmbeddedStore
import Foundation
import Identity
import JSON
import Synchronization

/// One loop's chat over a store in memory, with sessions of any dialects: what the gateway does, without sockets and clocks.
final class Stage {
    /// A client: what it was sent, and how its connection ended.
    final class Client {
        let tongue: Tongue
        fileprivate var session: any DialectSession
        /// What it hears.
        fileprivate var feeds: [FeedID: ConversationKey] = [:]
        /// Whether it gets something of its own with each message, and the newest that it was sent of each conversation.
        fileprivate var isPersonal = false
        fileprivate var shown: [ConversationKey: SequenceNumber] = [:]
        fileprivate(set) var frames: [String] = []
        fileprivate(set) var closed: UInt16?

        fileprivate init(_ tongue: Tongue, _ session: any DialectSession) {
            self.tongue = tongue
            self.session = session
        }

        fileprivate var objects: [[String: Any]] {
            self.frames.map(self.tongue.object)
        }

        /// The messages that it has been sent, in their order.
        var heard: [Tongue.Heard] { self.objects.compactMap { self.tongue.message($0, self.session.actor?.person.id.shown.string ?? "") } }
        var errors: [String] { self.objects.indices.filter { self.tongue.isError(self.objects[$0]) }.map { self.frames[$0] } }
    }

    private enum Question {
        case command(Client, SessionTag)
        case entrance(Client, FeedID, ConversationKey, from: Beginning, SessionTag)
        case page(Client, SessionTag)
        case fetch(Client, SessionTag)
        case replay(Client, ConversationKey)
        /// Before there is a client.
        case order((ChatAnswer) -> Void)
    }

    private var chat: ChatLoop
    private let store = MemoryStore(history: 1000)
    /// The store's answers to the chat, and those to sessions.
    private let letters = Letters()
    private let lists = Letters()
    private var clients: [Client] = []
    private var questions: [UInt64: Question] = [:]
    private var lastQuestion: UInt64 = 0
    private var now = Moment(monotonic: 1000, wall: Timestamp(milliseconds: 1_700_000_000_000))
    private var document = JSONDocument()
    private var steps = SessionSteps(limits: ChatLimits())
    private var rendering = Rendering()

    private final class Letters: StoreClient {
        let list = Mutex<[(StoreAnswer, StoreTicket)]>([])
        func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket) { self.list.withLock { $0.append((answer, ticket)) } }
        func take() -> [(StoreAnswer, StoreTicket)] {
            self.list.withLock { list in
                defer { list = [] }
                return list
            }
        }
    }

    init() {
        let view = View(number: 1, nodes: [View.Node(incarnation: 1, loops: 1)])
        self.chat = ChatLoop(id: OwnerID(incarnation: 1, loop: 0), view: view, limits: ChatLimits())
    }

    // MARK: What clients do

    /// Connects; nil when the request is refused before the upgrade.
    func connect(_ tongue: Tongue, to conversation: String, after: Int? = nil, as credentials: Credentials) -> Client? {
        switch tongue.dialect.open(tongue.request(conversation, after, credentials)) {
        case .session(let session):
            return self.begin(session, tongue, conversation)
        case .asking(let command, let key, let then):
            var answer: ChatAnswer?
            self.chat.ask(command, in: key, context: self.ask(.order { answer = $0 }), at: self.now)
            self.settle()
            guard let answer, case .session(let session) = then(answer) else { return nil }
            return self.begin(session, tongue, conversation)
        case .refused, nil:
            return nil
        }
    }

    private func begin(_ session: any DialectSession, _ tongue: Tongue, _ conversation: String) -> Client {
        let client = Client(tongue, session)
        self.clients.append(client)
        client.session.opened(into: &self.steps)
        self.runSteps(of: client)
        self.settle()
        if let hello = tongue.hello {
            self.send(hello, from: client)
            guard client.errors.isEmpty else { return client }
        }
        if let enter = tongue.enter { self.send(enter(conversation), from: client) }
        return client
    }

    func send(_ text: String, from client: Client) {
        guard client.closed == nil else { return }
        let bytes = Array(text.utf8)
        client.session.received(bytes.span.bytes, reading: &self.document, at: self.now.wall, into: &self.steps)
        self.runSteps(of: client)
        self.settle()
    }

    func say(_ content: String, in conversation: String, as id: String? = nil, from client: Client) {
        self.send(client.tongue.say(conversation, content, id), from: client)
    }

    /// The connection is gone.
    func leave(_ client: Client) {
        client.closed = client.closed ?? 1006
        if let user = client.session.actor?.person.id { for feed in client.feeds.keys { self.chat.leave(feed, user) } }
        client.feeds = [:]
        self.settle()
    }

    // MARK: What a gateway does

    private func ask(_ question: Question) -> UInt64 {
        self.lastQuestion += 1
        self.questions[self.lastQuestion] = question
        return self.lastQuestion
    }

    private func runSteps(of client: Client) {
        let steps = self.steps
        self.steps.removeAll()
        for step in steps.list where client.closed == nil {
            switch step {
            case .reply(let range): client.frames.append(String(decoding: steps.text.bytes[range], as: UTF8.self))
            case .enter(let key, let entrance, let beginning, let tag):
                let context = self.lastQuestion + 1
                let (feed, _) = self.chat.enter(key, entrance, context: context, at: self.now)
                _ = self.ask(.entrance(client, feed, key, from: beginning, tag))
            case .leave(let key):
                guard let feed = client.feeds.first(where: { $0.value == key })?.key, let user = client.session.actor?.person.id else {
                    break
                }
                client.feeds[feed] = nil
                self.chat.leave(feed, user)
            case .fetch(let request, let tag):
                self.store.submit(request, ticket: self.ask(.fetch(client, tag)), for: self.lists)
            case .ask(let command, let key, let tag):
                let context = tag.map { self.ask(.command(client, $0)) }
                self.chat.ask(command, in: key, context: context, at: self.now)
            case .read(let key, let range, let limit, let tag):
                self.chat.read(key, range, limit: limit, context: self.ask(.page(client, tag)))
            case .authenticate:
                client.session.authenticated(.failure(CredentialError("nobody looks at tokens here")), into: &self.steps)
                self.runSteps(of: client)
            case .announce: break  // There is no other node.
            case .close(let code, _):
                self.leave(client)
                client.closed = code
            }
        }
        self.regroup(client)
    }

    private func regroup(_ client: Client) {
        guard client.session.isPersonal != client.isPersonal else { return }
        client.isPersonal = client.session.isPersonal
        guard client.isPersonal else { return }
        client.session.stands(at: client.feeds.values.map { ($0, client.shown[$0] ?? 0) }, into: &self.steps)
        self.runSteps(of: client)
    }

    /// A second goes by, and everything that follows from it and from before.
    private func settle() {
        for _ in 0..<3 {
            self.now.monotonic += 1000
            self.now.wall = Timestamp(milliseconds: self.now.wall.milliseconds + 1000)
            self.chat.tick(at: self.now)
            repeat {
                while self.chat.hasWork {
                    self.chat.settle(at: self.now)
                    for (request, ticket) in self.chat.takeRequests() { self.store.submit(request, ticket: ticket, for: self.letters) }
                    for (answer, ticket) in self.letters.take() { self.chat.storeAnswered(answer, ticket: ticket, at: self.now) }
                }
                for delivery in self.chat.takeDeliveries() { self.deliver(delivery) }
                for (answer, ticket) in self.lists.take() { self.fetched(ticket, answer) }
            } while self.chat.hasWork || self.chat.hasDeliveries
        }
    }

    private func deliver(_ delivery: Delivery) {
        switch delivery {
        case .event(let feed, let event, let context):
            let asker = context.flatMap { self.asker($0) }
            for client in self.clients { if let key = client.feeds[feed] { self.show(event, in: key, to: client, askedBy: asker) } }
            if let context, asker?.closed == nil { self.answered(context, event.answer, isShown: asker?.feeds[feed] != nil) }
        case .answer(let context, let answer, let isShown):
            self.answered(context, answer, isShown: isShown && self.asker(context)?.feeds.isEmpty == false)
        case .page(let context, let page): self.paged(context, page)
        case .pageFailed(let context): self.paged(context, nil)
        }
    }

    private func asker(_ context: UInt64) -> Client? {
        switch self.questions[context] {
        case .command(let client, _), .entrance(let client, _, _, _, _), .page(let client, _), .fetch(let client, _),
            .replay(let client, _):
            client
        case .order, nil: nil
        }
    }

    private func show(_ event: ChatEvent, in key: ConversationKey, to client: Client, askedBy asker: Client? = nil) {
        guard let me = client.session.actor?.person.id else { return }
        if key.isPersonalInbox, case .posted(let message) = event {
            client.session.received(message, in: key, into: &self.steps)
            self.runSteps(of: client)
            return
        }
        self.rendering.removeAll()
        client.tongue.dialect.render(event, in: key, into: &self.rendering)
        if !self.rendering.unnumbered.isEmpty {
            // This store answers at once.
            let users = self.rendering.unnumbered
            let numbers = Letters()
            self.store.submit(.numbers(of: users, tenant: key.tenant), ticket: 0, for: numbers)
            if case .numbers(let found)? = numbers.take().first?.0 { self.rendering.numbers.note(found, of: users, in: key.tenant) }
            self.rendering.removeAll()
            client.tongue.dialect.render(event, in: key, into: &self.rendering)
        }
        for place in self.rendering.frames.indices where !(client.isPersonal && self.rendering.frames[place].unlessPersonal) {
            let isForMe =
                switch self.rendering.frames[place].audience {
                case .everybody: true
                case .others(let user): user != me
                case .only(let user): user == me
                case .otherConnections: client !== asker
                }
            if isForMe { client.frames.append(String(decoding: self.rendering.text.bytes[self.rendering.range(of: place)], as: UTF8.self)) }
        }
        guard case .posted(let message) = event else { return }
        client.shown[key] = message.sequence
        guard client.isPersonal else { return }
        client.session.shown(message, in: key, into: &self.steps)
        self.runSteps(of: client)
    }

    private func answered(_ context: UInt64, _ answer: ChatAnswer, isShown: Bool) {
        switch self.questions.removeValue(forKey: context) {
        case .command(let client, let tag):
            client.session.answered(answer, to: tag, isShown: isShown, into: &self.steps)
            self.runSteps(of: client)
        case .entrance(let client, let feed, let key, let beginning, let tag):
            if case .entered(let entered) = answer {
                // Who resumes hears everything else when it has been sent what it missed: nobody talks meanwhile.
                client.feeds[feed] = key
                let after =
                    switch beginning {
                    case .now: entered.head
                    case .after(let sequence, _): sequence
                    case .unread: entered.member?.readCursor ?? 0
                    }
                client.shown[key] = min(after, entered.head)
                if after < entered.head {
                    self.chat.read(key, .after(after), limit: 1000, context: self.ask(.replay(client, key)))
                }
            }
            client.session.answered(answer, to: tag, isShown: false, into: &self.steps)
            self.runSteps(of: client)
        case .order(let reply): reply(answer)
        case .page, .fetch, .replay, nil: break
        }
    }

    private func fetched(_ context: UInt64, _ answer: StoreAnswer) {
        guard case .fetch(let client, let tag)? = self.questions.removeValue(forKey: context), client.closed == nil else { return }
        client.session.fetched(answer, for: tag, into: &self.steps)
        self.runSteps(of: client)
    }

    private func paged(_ context: UInt64, _ page: Page?) {
        switch self.questions.removeValue(forKey: context) {
        case .page(let client, let tag):
            client.session.paged(page, for: tag, into: &self.steps)
            self.runSteps(of: client)
        case .replay(let client, let key):
            for message in page?.messages ?? [] { self.show(.posted(message), in: key, to: client) }
        case .command, .entrance, .fetch, .order, nil: break
        }
    }
}
