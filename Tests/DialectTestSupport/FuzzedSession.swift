import Bytes
import ChatModel
public import DialectKit
import Identity
import JSON

/// Executes lines on a session, between an arbitrary client and an arbitrary chat. The fuzzers and
/// their corpora feed it. A failed check stops the process.
///
/// A line is a frame of the client, or one of these:
///
///     !a  answer the oldest request     !y !z  a new token is valid, or invalid
///     !f  refuse the oldest request     !x     the token expires
///     !u  the chat is unavailable       !b     a binary frame
///     !p  answer with a page, !n none   !t     the next frame is too long
///     !l  answer a fetch, !k none       !r     the next frame exceeds the rate
///     !o  remove the user               !s     deliver a message
public struct FuzzedSession {
    private enum PendingStep {
        case enter(ConversationKey, RequestTag)
        case submit(ChatCommand, ConversationKey, RequestTag)
        case read(ConversationKey, RequestTag)
        case fetch(StoreRequest, RequestTag)
    }

    private var session: any DialectSession
    private var document = JSONDocument()
    private var steps = SessionSteps(limits: Limits())
    private var pending: [PendingStep] = []
    private var isTokenPending = false
    /// The subscribed conversations, with the last delivered message of each.
    private var delivered: [ConversationKey: SequenceNumber] = [:]
    private let checkServerFrame: ([UInt8]) -> Void
    private let checkClientFrame: ([UInt8]) -> Void
    /// Whether a frame of the client has caused a request.
    public private(set) var hasRequested = false
    private var isClosed = false

    /// - Parameters:
    ///   - clientFrame: checks a frame of the client before the session receives it.
    ///   - serverFrame: checks a frame that is sent to the client.
    public init(
        _ dialect: some Dialect, _ request: DialectRequest,
        clientFrame: @escaping ([UInt8]) -> Void = { _ in },
        serverFrame: @escaping ([UInt8]) -> Void
    ) {
        guard case .session(let session) = dialect.open(request) else {
            preconditionFailure("The upgrade was refused.")
        }
        self.session = session
        self.checkClientFrame = clientFrame
        self.checkServerFrame = serverFrame
        self.session.opened(into: &self.steps)
        self.processSteps()
    }

    public mutating func execute(_ line: [UInt8]) {
        guard !self.isClosed else { return }
        guard line.first == UInt8(ascii: "!"), line.count == 2 else {
            guard String(validating: line, as: UTF8.self) != nil else { return }
            // The gateway reads nothing from a client while it enters a conversation or reads a
            // page.
            while let index = self.pending.firstIndex(where: {
                if case .submit = $0 { false } else { true }
            }), !self.isClosed {
                self.answer(self.pending.remove(at: index))
            }
            guard !self.isClosed else { return }
            self.checkClientFrame(line)
            self.session.received(
                line.span.bytes, reading: &self.document, at: Timestamp(milliseconds: 0),
                into: &self.steps)
            if self.processSteps() { self.hasRequested = true }
            return
        }
        switch line[1] {
        case UInt8(ascii: "a"): if !self.pending.isEmpty { self.answer(self.pending.removeFirst()) }
        case UInt8(ascii: "f"): self.refuse(.accessDenied)
        case UInt8(ascii: "u"): self.refuse(.unavailable)
        case UInt8(ascii: "p"), UInt8(ascii: "n"):
            guard
                let index = self.pending.firstIndex(where: {
                    if case .read = $0 { true } else { false }
                })
            else { break }
            let read = self.pending.remove(at: index)
            if line[1] == UInt8(ascii: "p") { return self.answer(read) }
            if case .read(_, let tag) = read {
                self.session.receivedPage(nil, for: tag, into: &self.steps)
            }
        case UInt8(ascii: "l"), UInt8(ascii: "k"):
            guard
                let index = self.pending.firstIndex(where: {
                    if case .fetch = $0 { true } else { false }
                })
            else { break }
            let fetch = self.pending.remove(at: index)
            if line[1] == UInt8(ascii: "l") { return self.answer(fetch) }
            if case .fetch(_, let tag) = fetch {
                self.session.receivedStoreAnswer(nil, for: tag, into: &self.steps)
            }
        case UInt8(ascii: "o"):
            guard let key = self.delivered.keys.min() else { break }
            self.delivered[key] = nil
            self.session.leftConversation(key, into: &self.steps)
        case UInt8(ascii: "s"):
            guard let key = self.delivered.keys.min(), self.session.tracksDeliveries else { break }
            self.delivered[key]! += 1
            self.session.delivered(Self.message(self.delivered[key]!), in: key, into: &self.steps)
        case UInt8(ascii: "y"), UInt8(ascii: "z"):
            guard self.isTokenPending else { break }
            self.isTokenPending = false
            if line[1] == UInt8(ascii: "z") {
                self.session.authenticated(
                    .failure(CredentialError("is forged")), into: &self.steps)
                break
            }
            let user =
                self.session.principal.map {
                    $0.person.id.isAnonymous ? "ann" : $0.person.id.displayID
                } ?? "ann"
            self.session.authenticated(
                .success(Identity(user: user, tenant: self.session.tenant)), into: &self.steps)
        case UInt8(ascii: "x"): self.session.tokenExpired(into: &self.steps)
        case UInt8(ascii: "b"): self.session.receivedBinary(into: &self.steps)
        case UInt8(ascii: "t"): self.steps.exceededByteLimit = 1
        case UInt8(ascii: "r"): self.steps.retryAfter = 0.5
        default: break
        }
        self.processSteps(keepingRefusal: [UInt8(ascii: "r"), UInt8(ascii: "t")].contains(line[1]))
    }

    // MARK: The chat

    private static func message(_ sequence: SequenceNumber, _ body: MessageBody? = nil) -> Message {
        let bob = Person(id: UserID(tokenSubject: "bob"), name: "Bob")
        let body = body ?? MessageBody(author: bob, clientMessageID: nil, content: "x")
        return Message(
            sequence: sequence, revision: sequence, sentAt: Timestamp(milliseconds: 0), body: body)
    }

    private static let conversationDetails = ConversationDetails(
        record: ConversationRecord(
            ConversationTemplate(origin: "rooms", joinPolicy: .open), creator: nil,
            createdAt: Timestamp(milliseconds: 0)),
        head: 2, members: [],
        online: [])

    private static let receipts: ReceiptList = {
        let member = Member(
            user: UserID(tokenSubject: "ann"), name: "Ann", role: .member,
            joinedAt: Timestamp(milliseconds: 0), readCursor: 1, deliveredCursor: 2)
        let receipt = ReceiptList.Receipt(member)
        return ReceiptList(own: receipt, highest: [receipt], total: 1)
    }()

    private mutating func answer(_ pending: PendingStep) {
        let page = MessagePage(
            messages: [Self.message(1), Self.message(2)], head: 2, oldest: 1, revision: 3)
        switch pending {
        case .enter(let key, let tag):
            self.delivered[key] = 2
            self.session.answered(.joined(.empty), to: tag, isDelivered: false, into: &self.steps)
        case .submit(let command, let key, let tag):
            if case .leave = command, self.delivered.removeValue(forKey: key) != nil {
                self.session.leftConversation(key, into: &self.steps)
            }
            let answer: ChatAnswer =
                switch command {
                case .post(let body): .posted(Self.message(3, body))
                case .edit(let sequence, _, _), .delete(let sequence, _),
                    .react(let sequence, _, _, _), .pin(let sequence, _),
                    .unpin(let sequence, _):
                    .amended(Self.message(sequence))
                case .pins: .pins([Self.message(1)])
                case .read, .readThrough: .read(unknown: [])
                case .receipts: .receipts(Self.receipts)
                case .create, .describe, .update: .described(Self.conversationDetails)
                case .joinAndSubscribe, .join, .addMember: .joined(.empty)
                case .typing, .leave, .end, .removeMember: .done
                }
            self.session.answered(
                answer, to: tag, isDelivered: self.delivered[key] != nil, into: &self.steps)
        case .read(_, let tag):
            self.session.receivedPage(page, for: tag, into: &self.steps)
        case .fetch(let request, let tag):
            let answer: StoreAnswer? =
                switch request {
                case .memberships: .memberships(MembershipPage())
                case .numbers(let users, _):
                    .numbers(users.indices.map { StoreRequest.firstUserNumber + $0 })
                case .search: .found(SearchPage(messages: [Self.message(1)]))
                default: nil
                }
            self.session.receivedStoreAnswer(answer, for: tag, into: &self.steps)
        }
        self.processSteps()
    }

    private mutating func refuse(_ error: ChatError) {
        guard !self.pending.isEmpty else { return }
        switch self.pending.removeFirst() {
        case .enter(_, let tag), .submit(_, _, let tag):
            self.session.answered(.failed(error), to: tag, isDelivered: false, into: &self.steps)
        case .read(_, let tag): self.session.receivedPage(nil, for: tag, into: &self.steps)
        case .fetch(_, let tag): self.session.receivedStoreAnswer(nil, for: tag, into: &self.steps)
        }
    }

    // MARK: Steps of the session

    /// - Returns: whether a step is a request.
    @discardableResult
    private mutating func processSteps(keepingRefusal: Bool = false) -> Bool {
        var hasRequest = false
        let steps = self.steps
        self.steps.removeAll()
        if keepingRefusal {
            (self.steps.retryAfter, self.steps.exceededByteLimit) = (
                steps.retryAfter, steps.exceededByteLimit
            )
        }
        for step in steps.list {
            precondition(!self.isClosed, "A step follows the end of the connection.")
            var step = step
            if case .readFurther(let read, _) = step { step = read }
            switch step {
            case .reply(let range): self.checkServerFrame(Array(steps.text.bytes[range]))
            case .enter(let key, let request, _, let tag):
                hasRequest = true
                self.checkKey(key)
                precondition(
                    request.principal.person.id == self.session.principal?.person.id,
                    "Another user enters.")
                self.pending.append(.enter(key, tag))
            case .unsubscribe(let key): self.delivered[key] = nil
            case .submit(let command, let key, let tag):
                hasRequest = true
                self.checkKey(key)
                if case .post(let body) = command { self.checkMessage(body) }
                if let tag { self.pending.append(.submit(command, key, tag)) }
            case .readPage(let key, _, let limit, let tag),
                .readThread(let key, _, _, let limit, let tag):
                hasRequest = true
                self.checkKey(key)
                precondition((1...1000).contains(limit), "A page of \(limit) messages.")
                self.pending.append(.read(key, tag))
            case .fetch(let request, let tag):
                hasRequest = true
                self.pending.append(.fetch(request, tag))
            case .readFurther: preconditionFailure("A further read of a further read.")
            case .authenticate:
                hasRequest = true
                self.isTokenPending = true
            case .broadcast(let text):
                precondition(text.utf8.count <= 64, "A broadcast is too long: \(text)")
            case .close: self.isClosed = true
            }
        }
        return hasRequest
    }

    private func checkKey(_ key: ConversationKey) {
        precondition(
            key.isInbox || IdentityRule.conversation.allows(key.id.string),
            "An invalid conversation id: \(key)")
        precondition(key.tenant == self.session.tenant, "A conversation of another tenant: \(key)")
    }

    private func checkMessage(_ body: MessageBody) {
        precondition(
            (try? Limits().check(content: body.content)) != nil,
            "A message beyond the limits.")
        precondition(
            body.metadata.map { $0.count <= Limits().metadataBytes } ?? true,
            "Metadata beyond the limits.")
        precondition(
            body.author.id == self.session.principal?.person.id, "A message by another author.")
    }
}

/// The properties of a dialect whose frames are JSON objects.
public enum JSONFrames {
    /// - Returns: whether a frame of the client has caused a request.
    public static func check(_ bytes: [UInt8], _ dialect: some Dialect, _ request: DialectRequest)
        -> Bool
    {
        var session = FuzzedSession(dialect, request) { frame in
            guard let tree = try? JSONTree(parsing: frame.span.bytes), tree.members != nil else {
                preconditionFailure(
                    "A frame is not a JSON object: \(String(decoding: frame, as: UTF8.self))")
            }
        }
        for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            session.execute(Array(line))
        }
        return session.hasRequested
    }
}
