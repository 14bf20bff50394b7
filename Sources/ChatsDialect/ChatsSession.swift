public import Bytes
public import ChatModel
public import DialectKit
public import Identity
public import JSON

/// One connection of the Chats protocol: a user in all chats of the user's.
///
/// Requests that take several questions are answered one after the other, in the order in which they came.
public struct ChatsSession: DialectSession {
    var subscriptions: UserSubscriptions
    /// The user's own number; it is known before anything is read from the client.
    var ownNumber = 0
    var job: ChatsJob?
    private var queue: [QueuedRequest] = []
    /// Messages on their way to be stored, all to one chat: its owner keeps them in order, so the next need not wait for them.
    var pendingPosts: (chat: ByteString, count: Int)?

    enum ChatsRequestKind: UInt8 {
        case ownNumber, list, describe, page, numbers, nextID, create, enter, post, markRead
    }

    /// A request that waits for its turn, and the millisecond at which the client sent it.
    private struct QueuedRequest {
        let request: ChatsRequest
        let requestedAt: Int64
    }

    /// So many requests may wait for their turn.
    private static let queueLimit = 100
    /// A message is answered within so many milliseconds, even if its turn does not come.
    private static let sendTimeout: Int64 = 5000

    init(identity: Identity) {
        self.subscriptions = UserSubscriptions(
            tenant: identity.tenant,
            actor: Principal(person: Person(of: identity), isAdmin: identity.isAdmin),
            grants: identity.grants,
            kind: .chats,
            skipsHistory: true)
    }

    /// Somebody without a token.
    init(anonymousName name: ByteString) {
        let person = Person(id: UserID(anonymous: name), name: name)
        self.subscriptions = UserSubscriptions(
            tenant: Identity.defaultTenant, actor: Principal(person: person, isAdmin: false),
            grants: .none, kind: .chats)
    }

    public var principal: Principal? { self.subscriptions.actor }
    public var tenant: ByteString { self.subscriptions.tenant }
    public var homeConversation: ConversationKey? { nil }

    var person: Person { self.subscriptions.actor.person }
    var user: ChatsUser {
        ChatsUser(self.person.id, number: self.ownNumber, name: self.person.name)
    }

    public mutating func opened(into steps: inout SessionSteps) {
        if let number = UserNumbers.numericID(of: self.person.id) {
            self.ownNumber = number
        } else {
            steps.append(
                .fetch(
                    .numbers(of: [self.person.id], tenant: self.tenant),
                    RequestTag(kind: ChatsRequestKind.ownNumber.rawValue)))
        }
        self.subscriptions.open(into: &steps)
    }

    // MARK: What the client sends

    public mutating func receivedBinary(into steps: inout SessionSteps) {
        steps.reply {
            $0.append(error: "binary frames are not taken; send JSON text", request: nil)
        }
    }

    public mutating func received(
        _ text: RawSpan, reading document: inout JSONDocument, at now: Timestamp,
        into steps: inout SessionSteps
    ) {
        var type: ByteString?
        do throws(FieldError) {
            try document.parseFrame(text)
            let name = ByteString(try document.requiredString("type", of: document.root, in: text))
            type = name
            if let refusal = steps.refusal {
                steps.reply {
                    $0.append(error: refusal.reason, request: name, retryAfter: refusal.retryAfter)
                }
                return
            }
            try self.execute(
                try ChatsRequest.parse(name, document, text, at: now, limits: steps.limits),
                into: &steps)
        } catch {
            steps.reply { $0.append(error: error.description, request: type) }
        }
    }

    private mutating func execute(_ request: ChatsRequest, into steps: inout SessionSteps)
        throws(FieldError)
    {
        if case .authenticate(let token) = request { return steps.append(.authenticate(token)) }
        if self.queue.isEmpty, self.canBegin(request) {
            return self.begin(request, requestedAt: steps.receivedAt, into: &steps)
        }
        guard self.queue.count < Self.queueLimit else {
            throw FieldError("\(Self.queueLimit) requests are waiting for their answers")
        }
        self.queue.append(QueuedRequest(request: request, requestedAt: steps.receivedAt))
    }

    /// When the first of the messages that wait for their turn has waited too long.
    public var wakeAt: Int64? {
        mutating get {
            self.queue.first { $0.request.isPost }.map { $0.requestedAt + Self.sendTimeout }
        }
    }

    /// Refuses the messages whose turn has not come in time: they were never sent.
    public mutating func wake(into steps: inout SessionSteps) {
        let due = steps.monotonicMilliseconds - Self.sendTimeout
        let overdue = self.queue.filter { $0.request.isPost && $0.requestedAt <= due }
        self.queue.removeAll { $0.request.isPost && $0.requestedAt <= due }
        for queued in overdue {
            steps.reply {
                $0.append(
                    error: ChatsRequest.errorText(.unavailable), request: queued.request.type,
                    localID: queued.request.localID)
            }
        }
    }

    /// What waited goes on, as far as it can be answered at once.
    mutating func resumeQueue(into steps: inout SessionSteps) {
        while let next = self.queue.first, self.canBegin(next.request) {
            self.queue.removeFirst()
            self.begin(next.request, requestedAt: next.requestedAt, into: &steps)
        }
    }

    /// Whether a request may be begun, so that its answer cannot come before that of another.
    private func canBegin(_ request: ChatsRequest) -> Bool {
        guard self.job == nil else { return false }
        guard let posting = self.pendingPosts else { return true }
        if case .post(let chat, _) = request { return chat == posting.chat }
        return false
    }

    // MARK: Of its own accord

    public mutating func receivedInboxMessage(
        _ message: Message, in inbox: ConversationKey, into steps: inout SessionSteps
    ) {
        self.subscriptions.enter(ByteString(message.body.content), into: &steps)
    }

    public mutating func leftConversation(
        _ conversation: ConversationKey, into steps: inout SessionSteps
    ) {
        self.subscriptions.remove(conversation.id)
    }

    /// Nobody resumes in this protocol: what was missed is among the messages.
    public mutating func historyTruncated(
        in conversation: ConversationKey, oldest: SequenceNumber, into steps: inout SessionSteps
    ) {}

    // MARK: Tokens

    public mutating func authenticated(
        _ result: Result<Identity, CredentialError>, into steps: inout SessionSteps
    ) {
        switch result {
        case .success(let identity):
            self.subscriptions.updateIdentity(identity)
            steps.reply {
                $0.append(#"{"type":"authenticated","data":{"user":"#)
                $0.append(self.user)
                $0.append("}}")
            }
        case .failure(let error):
            steps.reply { $0.append(error: "token: \(error)", request: "authenticate") }
        }
    }

    public mutating func tokenExpired(into steps: inout SessionSteps) {
        steps.reply { $0.append(error: "token expired", request: nil) }
        steps.append(.close(4401, "token expired"))
    }
}
