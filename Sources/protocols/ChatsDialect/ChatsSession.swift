public import Bytes
public import ChatModel
public import DialectKit
public import Identity
public import JSON

/// One connection of the Chats protocol: a user in all of the user's chats.
///
/// Requests that take several steps are answered one after the other, in the order of their
/// arrival.
public struct ChatsSession: DialectSession {
    var subscriptions: UserSubscriptions
    /// The user's own number. It is known before the first frame of the client is read.
    var ownNumber = 0
    var job: ChatsJob?
    private var queue: [QueuedRequest] = []
    /// Unanswered posts, all to one chat. Its owner keeps them in order, so the next post to this
    /// chat need not wait for them.
    var pendingPosts: (chat: ByteString, count: Int)?

    enum ChatsRequestKind: UInt8 {
        case ownNumber, list, describe, page, numbers, nextID, create, enter, post, markRead
    }

    /// A request in the queue, and the millisecond at which the client sent it.
    private struct QueuedRequest {
        let request: ChatsRequest
        let requestedAt: Int64
    }

    /// The maximum number of queued requests.
    private static let queueLimit = 100
    /// The milliseconds within which a send is answered, even if it is still queued.
    private static let sendTimeout: Int64 = 5000

    /// The template of chats that the client creates.
    let newChats: ConversationTemplate

    init(identity: Identity, newChats: ConversationTemplate) {
        self.newChats = newChats
        self.subscriptions = UserSubscriptions(
            tenant: identity.tenant,
            principal: Principal(person: Person(of: identity), isAdmin: identity.isAdmin),
            grants: identity.grants,
            template: .chats,
            marksHistoryRead: true)
    }

    /// Creates the session of a user without a token, who is the guest of this connection.
    init(
        anonymousName name: ByteString, newChats: ConversationTemplate,
        guestKey: ByteString = GuestKey.randomKey()
    ) {
        self.newChats = newChats
        let user = UserID(guest: name, key: guestKey, provenBy: .connection)
        let person = Person(id: user, name: name)
        self.subscriptions = UserSubscriptions(
            tenant: Identity.defaultTenant, principal: Principal(person: person, isAdmin: false),
            grants: .none, template: .chats)
    }

    public var principal: Principal? { self.subscriptions.principal }
    public var tenant: ByteString { self.subscriptions.tenant }

    var person: Person { self.subscriptions.principal.person }
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

    // MARK: Requests of the client

    public mutating func receivedBinary(into steps: inout SessionSteps) {
        steps.reply {
            $0.append(error: "binary frames are not supported; send JSON text", request: nil)
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

    /// The deadline of the first queued send.
    public var wakeAt: Int64? {
        mutating get {
            self.queue.first { $0.request.isPost }.map { $0.requestedAt + Self.sendTimeout }
        }
    }

    /// Rejects the queued sends whose deadline has passed. They were never submitted.
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

    /// Begins queued requests as far as possible.
    mutating func resumeQueue(into steps: inout SessionSteps) {
        while let next = self.queue.first, self.canBegin(next.request) {
            self.queue.removeFirst()
            self.begin(next.request, requestedAt: next.requestedAt, into: &steps)
        }
    }

    /// Whether a request may begin: its answer must not precede the answer to an earlier request.
    private func canBegin(_ request: ChatsRequest) -> Bool {
        guard self.job == nil else { return false }
        guard let pendingPosts = self.pendingPosts else { return true }
        if case .post(let chat, _) = request { return chat == pendingPosts.chat }
        return false
    }

    // MARK: Events of other connections

    public mutating func receivedInboxMessage(
        _ message: Message, in inbox: ConversationKey, into steps: inout SessionSteps
    ) {
        if let notice = InboxNotice(message.body) {
            _ = self.subscriptions.enter(notice, into: &steps)
        }
    }

    public mutating func leftConversation(
        _ conversation: ConversationKey, into steps: inout SessionSteps
    ) {
        self.subscriptions.remove(conversation.id)
    }

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

    public mutating func banned(_ notice: String, into steps: inout SessionSteps) {
        steps.reply { $0.append(error: notice, request: nil) }
        steps.append(.close(SessionStep.bannedCode, notice))
    }
}
