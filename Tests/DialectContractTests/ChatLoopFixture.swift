import Bytes
import ChatCore
import ChatEngine
import ChatModel
import ChatSimulation
import Cluster
import DialectKit
import EmbeddedStore
import Foundation
import Identity
import JSON
import Synchronization

/// The chat of one loop over an in-memory store, with sessions of all dialects: a gateway without
/// sockets and clocks.
final class ChatLoopFixture {
    /// A client: its received frames, and the close code of its connection.
    final class DialectClient {
        let dialect: DialectUnderTest
        fileprivate var session: any DialectSession
        /// Its subscriptions.
        fileprivate var feeds: [FeedID: ConversationKey] = [:]
        /// Whether the session tracks deliveries, and the last delivered message of each
        /// conversation.
        fileprivate var tracksDeliveries = false
        fileprivate var deliveredThrough: [ConversationKey: SequenceNumber] = [:]
        fileprivate(set) var frames: [String] = []
        fileprivate(set) var closed: UInt16?

        fileprivate init(_ dialect: DialectUnderTest, _ session: any DialectSession) {
            self.dialect = dialect
            self.session = session
        }

        fileprivate var objects: [[String: Any]] {
            self.frames.map(self.dialect.parseFrame)
        }

        /// The received messages, in order.
        var received: [DialectUnderTest.DeliveredMessage] {
            self.objects.compactMap {
                self.dialect.message($0, self.session.principal?.person.id.displayID.string ?? "")
            }
        }
        var errors: [String] {
            self.objects.indices.filter { self.dialect.isError(self.objects[$0]) }.map {
                self.frames[$0]
            }
        }
    }

    private enum FixtureRequest {
        case command(DialectClient, RequestTag)
        case joinRequest(DialectClient, FeedID, ConversationKey, from: StartPosition, RequestTag)
        case page(DialectClient, RequestTag)
        case fetch(DialectClient, RequestTag)
        case replay(DialectClient, ConversationKey)
        /// The decision whether a client may connect.
        case openDecision((ChatAnswer) -> Void)
    }

    private var chat: ChatLoop
    private let store = MemoryStore(history: 1000)
    /// The store's answers to the chat, and those to sessions.
    private let chatAnswers = AnswerQueue()
    private let sessionAnswers = AnswerQueue()
    private var clients: [DialectClient] = []
    private var requests: [RequestContextID: FixtureRequest] = [:]
    private var lastRequest: UInt64 = 0
    private var now = ClockReading(
        monotonic: 1000, wall: Timestamp(milliseconds: 1_700_000_000_000))
    private var document = JSONDocument()
    private var steps = SessionSteps(limits: Limits())
    private var rendering = Rendering()

    private final class AnswerQueue: StoreClient {
        let list = Mutex<[(StoreAnswer, StoreTicket)]>([])
        func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket) {
            self.list.withLock { $0.append((answer, ticket)) }
        }
        func drain() -> [(StoreAnswer, StoreTicket)] {
            self.list.withLock { list in
                defer { list = [] }
                return list
            }
        }
    }

    init() {
        let view = View(number: 1, nodes: [View.Node(incarnation: 1, loops: 1)])
        self.chat = ChatLoop(id: LoopID(incarnation: 1, loop: 0), view: view, limits: Limits())
    }

    /// The stored record of a conversation; nil if it does not exist.
    func record(of conversation: ByteString) -> ConversationRecord? {
        let answers = AnswerQueue()
        self.store.submit(
            .load(ConversationKey(tenant: Identity.defaultTenant, id: conversation)), ticket: 0,
            for: answers)
        guard case .loaded(let loaded)? = answers.drain().first?.0 else { return nil }
        return loaded?.record
    }

    // MARK: Actions of clients

    /// Connects a client; nil if the request is refused before the upgrade.
    func connect(
        _ dialect: DialectUnderTest, to conversation: String, after: Int? = nil,
        as credentials: Credentials
    ) -> DialectClient? {
        switch dialect.dialect.open(dialect.request(conversation, after, credentials)) {
        case .session(let session):
            return self.begin(session, dialect, conversation)
        case .awaitingAnswer(let command, let key, let then):
            var answer: ChatAnswer?
            self.chat.submit(
                command, in: key, context: self.addRequest(.openDecision { answer = $0 }),
                at: self.now)
            self.runUntilIdle()
            guard let answer, case .session(let session) = then(answer) else { return nil }
            return self.begin(session, dialect, conversation)
        case .refused, nil:
            return nil
        }
    }

    private func begin(
        _ session: any DialectSession, _ dialect: DialectUnderTest, _ conversation: String
    ) -> DialectClient {
        let client = DialectClient(dialect, session)
        self.clients.append(client)
        client.session.opened(into: &self.steps)
        self.runSteps(of: client)
        self.runUntilIdle()
        if let connectFrame = dialect.connectFrame {
            self.send(connectFrame, from: client)
            guard client.errors.isEmpty else { return client }
        }
        if let enterFrame = dialect.enterFrame { self.send(enterFrame(conversation), from: client) }
        return client
    }

    func send(_ text: String, from client: DialectClient) {
        guard client.closed == nil else { return }
        let bytes = Array(text.utf8)
        client.session.received(
            bytes.span.bytes, reading: &self.document, at: self.now.wall, into: &self.steps)
        self.runSteps(of: client)
        self.runUntilIdle()
    }

    func post(
        _ content: String, in conversation: String, as id: String? = nil, from client: DialectClient
    ) {
        self.send(client.dialect.postFrame(conversation, content, id), from: client)
    }

    /// A copy of the client's session.
    func session(of client: DialectClient) -> any DialectSession { client.session }

    /// Closes the connection.
    func disconnect(_ client: DialectClient) {
        client.closed = client.closed ?? 1006
        if let user = client.session.principal?.person.id {
            for feed in client.feeds.keys { self.chat.unsubscribe(from: feed, user: user) }
        }
        client.feeds = [:]
        self.runUntilIdle()
    }

    // MARK: Tasks of a gateway

    private func addRequest(_ request: FixtureRequest) -> RequestContextID {
        self.lastRequest += 1
        let context = RequestContextID(rawValue: self.lastRequest)
        self.requests[context] = request
        return context
    }

    private func runSteps(of client: DialectClient) {
        let steps = self.steps
        self.steps.removeAll()
        for step in steps.list where client.closed == nil {
            var step = step
            if case .readFurther(let read, _) = step { step = read }
            switch step {
            case .reply(let range):
                client.frames.append(String(decoding: steps.text.bytes[range], as: UTF8.self))
            case .enter(let key, let joinRequest, let start, let tag):
                let context = RequestContextID(rawValue: self.lastRequest + 1)
                let (feed, _) = self.chat.subscribe(
                    to: key, with: joinRequest, context: context, at: self.now)
                _ = self.addRequest(.joinRequest(client, feed, key, from: start, tag))
            case .unsubscribe(let key):
                guard let feed = client.feeds.first(where: { $0.value == key })?.key,
                    let user = client.session.principal?.person.id
                else {
                    break
                }
                client.feeds[feed] = nil
                self.chat.unsubscribe(from: feed, user: user)
            case .fetch(let request, let tag):
                self.store.submit(
                    request,
                    ticket: StoreTicket(rawValue: self.addRequest(.fetch(client, tag)).rawValue),
                    for: self.sessionAnswers)
            case .submit(let command, let key, let tag):
                let context = tag.map { self.addRequest(.command(client, $0)) }
                self.chat.submit(command, in: key, context: context, at: self.now)
            case .readPage(let key, let range, let limit, let tag):
                self.chat.readPage(
                    key, range, limit: PageLimit(messages: limit),
                    context: self.addRequest(.page(client, tag)))
            case .readThread(let key, let root, let range, let limit, let tag):
                self.chat.readThread(
                    key, root: root, range, limit: PageLimit(messages: limit),
                    context: self.addRequest(.page(client, tag)))
            case .authenticate:
                client.session.authenticated(
                    .failure(CredentialError("tokens are not verified here")), into: &self.steps)
                self.runSteps(of: client)
            case .broadcast, .readFurther: break  // There is no other node, and no rate.
            case .close(let code, _):
                self.disconnect(client)
                client.closed = code
            }
        }
        self.updateTracking(client)
    }

    private func updateTracking(_ client: DialectClient) {
        guard client.session.tracksDeliveries != client.tracksDeliveries else { return }
        client.tracksDeliveries = client.session.tracksDeliveries
        guard client.tracksDeliveries else { return }
        client.session.startedTrackingDeliveries(
            at: client.feeds.values.map { ($0, client.deliveredThrough[$0] ?? 0) },
            into: &self.steps)
        self.runSteps(of: client)
    }

    /// Advances the clock, and lets the chat finish all pending work.
    private func runUntilIdle() {
        for _ in 0..<3 {
            self.now.monotonic += 1000
            self.now.wall = Timestamp(milliseconds: self.now.wall.milliseconds + 1000)
            self.chat.tick(at: self.now)
            repeat {
                while self.chat.hasWork {
                    self.chat.finishTurn(at: self.now)
                    for (request, ticket) in self.chat.takeRequests() {
                        self.store.submit(request, ticket: ticket, for: self.chatAnswers)
                    }
                    for (answer, ticket) in self.chatAnswers.drain() {
                        self.chat.storeAnswered(answer, ticket: ticket, at: self.now)
                    }
                }
                for delivery in self.chat.takeDeliveries() { self.deliver(delivery) }
                for (answer, ticket) in self.sessionAnswers.drain() {
                    self.receivedStoreAnswer(RequestContextID(rawValue: ticket.rawValue), answer)
                }
            } while self.chat.hasWork || self.chat.hasDeliveries
        }
    }

    private func deliver(_ delivery: Delivery) {
        switch delivery {
        case .event(let feed, let event, let context):
            let requester = context.flatMap { self.requester($0) }
            for client in self.clients {
                if let key = client.feeds[feed] {
                    self.deliver(event, in: key, to: client, requestedBy: requester)
                }
            }
            if let context, requester?.closed == nil {
                self.answered(context, event.answer, isDelivered: requester?.feeds[feed] != nil)
            }
        case .answer(let context, let answer, let isDelivered, _):
            self.answered(
                context, answer,
                isDelivered: isDelivered && self.requester(context)?.feeds.isEmpty == false)
        case .page(let context, let page): self.receivedPage(context, page)
        case .pageFailed(let context): self.receivedPage(context, nil)
        }
    }

    private func requester(_ context: RequestContextID) -> DialectClient? {
        switch self.requests[context] {
        case .command(let client, _), .joinRequest(let client, _, _, _, _), .page(let client, _),
            .fetch(let client, _),
            .replay(let client, _):
            client
        case .openDecision, nil: nil
        }
    }

    private func deliver(
        _ event: ChatEvent, in key: ConversationKey, to client: DialectClient,
        requestedBy requester: DialectClient? = nil
    ) {
        guard let me = client.session.principal?.person.id else { return }
        if key.isPersonalInbox, case .posted(let message) = event {
            client.session.receivedInboxMessage(message, in: key, into: &self.steps)
            self.runSteps(of: client)
            return
        }
        self.rendering.removeAll()
        client.dialect.dialect.render(event, in: key, into: &self.rendering)
        if !self.rendering.usersWithoutNumber.isEmpty {
            // The in-memory store answers at once.
            let users = self.rendering.usersWithoutNumber
            let numbers = AnswerQueue()
            self.store.submit(.numbers(of: users, tenant: key.tenant), ticket: 0, for: numbers)
            if case .numbers(let found)? = numbers.drain().first?.0 {
                self.rendering.userNumbers.record(found, of: users, in: key.tenant)
            }
            self.rendering.removeAll()
            client.dialect.dialect.render(event, in: key, into: &self.rendering)
        }
        for index in self.rendering.frames.indices
        where !(client.tracksDeliveries && self.rendering.frames[index].unlessTracked) {
            let isForMe =
                switch self.rendering.frames[index].audience {
                case .everybody: true
                case .others(let user): user != me
                case .only(let user): user == me
                case .otherConnections: client !== requester
                }
            if isForMe {
                client.frames.append(
                    String(
                        decoding: self.rendering.text.bytes[
                            self.rendering.textRange(ofFrame: index)], as: UTF8.self))
            }
        }
        guard case .posted(let message) = event else { return }
        client.deliveredThrough[key] = message.sequence
        guard client.tracksDeliveries else { return }
        client.session.delivered(message, in: key, into: &self.steps)
        self.runSteps(of: client)
    }

    private func answered(_ context: RequestContextID, _ answer: ChatAnswer, isDelivered: Bool) {
        switch self.requests.removeValue(forKey: context) {
        case .command(let client, let tag):
            client.session.answered(answer, to: tag, isDelivered: isDelivered, into: &self.steps)
            self.runSteps(of: client)
        case .joinRequest(let client, let feed, let key, let start, let tag):
            if case .joined(let entered) = answer {
                // A resumed subscription normally starts after the missed messages. Here no message
                // arrives in the meantime.
                client.feeds[feed] = key
                let after =
                    switch start {
                    case .now: entered.head
                    case .after(let sequence, _): sequence
                    case .unread: entered.member?.readCursor ?? 0
                    }
                client.deliveredThrough[key] = min(after, entered.head)
                if after < entered.head {
                    self.chat.readPage(
                        key, .after(after), limit: 1000,
                        context: self.addRequest(.replay(client, key)))
                }
            }
            client.session.answered(answer, to: tag, isDelivered: false, into: &self.steps)
            self.runSteps(of: client)
        case .openDecision(let reply): reply(answer)
        case .page, .fetch, .replay, nil: break
        }
    }

    private func receivedStoreAnswer(_ context: RequestContextID, _ answer: StoreAnswer) {
        guard case .fetch(let client, let tag)? = self.requests.removeValue(forKey: context),
            client.closed == nil
        else { return }
        client.session.receivedStoreAnswer(answer, for: tag, into: &self.steps)
        self.runSteps(of: client)
    }

    private func receivedPage(_ context: RequestContextID, _ page: MessagePage?) {
        switch self.requests.removeValue(forKey: context) {
        case .page(let client, let tag):
            client.session.receivedPage(page, for: tag, into: &self.steps)
            self.runSteps(of: client)
        case .replay(let client, let key):
            for message in page?.messages ?? [] {
                self.deliver(.posted(message), in: key, to: client)
            }
        case .command, .joinRequest, .fetch, .openDecision, nil: break
        }
    }
}
