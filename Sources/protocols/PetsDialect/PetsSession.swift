public import Bytes
public import ChatModel
public import DialectKit
public import Identity
public import JSON

/// One connection of the Pets protocol: a user in all of the user's conversations.
public struct PetsSession: DialectSession {
    var subscriptions: UserSubscriptions
    /// Whether this user may broadcast to all users of the tenant.
    private var mayBroadcast: Bool
    /// Whether every user may broadcast: anonymous users are allowed, and the listener is reachable
    /// only from this machine.
    private let anonymousMayBroadcast: Bool
    /// Requests for conversations to which the connection is not subscribed yet.
    var requestsAwaitingEntry: [ByteString: [DeferredRequest]] = [:]
    /// New conversations of this user. The client is notified after the connection has subscribed
    /// to them.
    var createdConversations: [ByteString: CreatedConversation] = [:]
    /// The list of conversations that is being read, page by page.
    var listedConversations = MembershipList()

    /// The number in the tag of a page after a message.
    static let forwardHistory = 1

    enum PetsRequestKind: UInt8 { case list, message, history, create, broadcast }

    /// The fields of a new conversation as `PetsDetails` writes them, its creator, and the members
    /// that this session must notify.
    struct CreatedConversation {
        let fields: ByteString
        let creator: UserID
        var membersToNotify: [UserID] = []
    }

    /// A request that needs a subscription to its conversation.
    enum DeferredRequest {
        /// - Parameter requestedAt: the millisecond at which the client sent it.
        case message(content: String, localID: ByteString?, requestedAt: Int64)
        case history(PageRange, limit: Int)

        var event: ByteString {
            switch self {
            case .message: "message"
            case .history: "history"
            }
        }

        var localID: ByteString? {
            if case .message(_, let localID, _) = self { localID } else { nil }
        }
    }

    init(identity: Identity, anonymousMayBroadcast: Bool) {
        self.subscriptions = UserSubscriptions(
            tenant: identity.tenant,
            principal: Principal(person: Person(of: identity), isAdmin: identity.isAdmin),
            grants: identity.grants,
            template: .pets)
        self.mayBroadcast = anonymousMayBroadcast || identity.isAdmin
        self.anonymousMayBroadcast = anonymousMayBroadcast
    }

    /// Creates the session of a user without a token.
    init(anonymousID id: ByteString, anonymousMayBroadcast: Bool) {
        let person = Person(id: UserID(assigned: id), name: id)
        self.subscriptions = UserSubscriptions(
            tenant: Identity.defaultTenant, principal: Principal(person: person, isAdmin: false),
            grants: .none, template: .pets)
        self.mayBroadcast = anonymousMayBroadcast
        self.anonymousMayBroadcast = anonymousMayBroadcast
    }

    public var principal: Principal? { self.subscriptions.principal }
    public var tenant: ByteString { self.subscriptions.tenant }

    var person: Person { self.subscriptions.principal.person }
    private var broadcastInbox: ConversationKey { .inbox(ofAll: "pets", in: self.tenant) }

    public mutating func opened(into steps: inout SessionSteps) {
        steps.reply { $0.append(connectedAs: self.person.id) }
        self.subscriptions.subscribeToInbox(self.broadcastInbox, into: &steps)
        self.subscriptions.open(into: &steps)
    }

    // MARK: Requests of the client

    public mutating func receivedBinary(into steps: inout SessionSteps) {
        steps.reply {
            $0.append(error: "binary frames are not supported; send JSON text", event: nil)
        }
    }

    public mutating func received(
        _ text: RawSpan, reading document: inout JSONDocument, at now: Timestamp,
        into steps: inout SessionSteps
    ) {
        var event: ByteString?
        do throws(FieldError) {
            try document.parseFrame(text)
            let name = ByteString(try document.requiredString("event", of: document.root, in: text))
            event = name
            if let refusal = steps.refusal {
                let localID = name == "message" ? Self.localID(document, text) : nil
                steps.reply {
                    $0.append(
                        error: refusal.reason, event: name, localID: localID,
                        retryAfter: refusal.retryAfter)
                }
                return
            }
            try self.execute(name, document, text, into: &steps)
        } catch {
            steps.reply { $0.append(error: error.description, event: event) }
        }
    }

    private mutating func execute(
        _ event: ByteString, _ document: borrowing JSONDocument, _ text: RawSpan,
        into steps: inout SessionSteps
    ) throws(FieldError) {
        switch event {
        case "conversations":
            self.listedConversations = MembershipList(byteLimit: steps.limits.outboundBytes)
            self.fetchConversations(after: nil, into: &steps)
        case "message":
            let data = try Self.data(document, text)
            let conversation = try document.requiredConversationID(
                "conversation_id", of: data, in: text)
            let localID = try document.optionalString("local_id", of: data, in: text).map {
                ByteString($0)
            }
            if let localID, ClientMessageID(given: localID) == nil {
                throw FieldError(ChatError.clientMessageIDInvalid)
            }
            let content = try document.messageContent(of: data, in: text, limits: steps.limits)
            self.performAfterEntry(
                .message(content: content, localID: localID, requestedAt: steps.receivedAt),
                in: conversation, into: &steps)
        case "new_conversation":
            try self.create(document, text, into: &steps)
        case "broadcast":
            let content = try document.messageContent(
                of: try Self.data(document, text), in: text, limits: steps.limits)
            guard self.mayBroadcast else {
                throw FieldError(ChatError.notAllowed("bearers of an admin's token"))
            }
            let body = MessageBody(author: self.person, clientMessageID: nil, content: content)
            steps.append(
                .submit(
                    .post(body), in: self.broadcastInbox,
                    RequestTag(kind: PetsRequestKind.broadcast.rawValue)))
        case "history":
            try self.readHistory(document, text, into: &steps)
        case "authenticate":
            steps.append(
                .authenticate(
                    try document.requiredString(
                        "token", of: try Self.data(document, text), in: text)))
        default:
            throw FieldError("event: \"\(event)\" is unknown")
        }
    }

    private static func data(_ document: borrowing JSONDocument, _ text: RawSpan) throws(FieldError)
        -> JSONValue
    {
        try document.requiredObject("data", of: document.root, in: text)
    }

    /// The client's id of a send, even if the rest of the frame is invalid.
    private static func localID(_ document: borrowing JSONDocument, _ text: RawSpan) -> ByteString?
    {
        guard let data = try? self.data(document, text) else { return nil }
        return (try? document.optionalString("local_id", of: data, in: text)).map { ByteString($0) }
    }

    private mutating func create(
        _ document: borrowing JSONDocument, _ text: RawSpan, into steps: inout SessionSteps
    ) throws(FieldError) {
        let data = try Self.data(document, text)
        let pet = try document.requiredString("pet_id", of: data, in: text)
        guard UUIDText.matches(pet) else { throw FieldError("pet_id: must be a UUID") }
        let providers = try document.requiredStrings("providers", of: data, in: text)
        guard providers.count <= Limits.usersPerRequest else {
            throw FieldError("providers: more than \(Limits.usersPerRequest) users")
        }
        guard providers.allSatisfy(UUIDText.matches) else {
            throw FieldError("providers: each must be a UUID")
        }
        let fields = PetsDetails.fields(pet: pet, providers: providers)
        // The server assigns the ids of anonymous users, so their providers are anonymous too.
        let others = providers.map { provider in
            let id = ByteString(provider)
            return Person(
                id: self.person.id.isAnonymous ? UserID(assigned: id) : UserID(tokenSubject: id),
                name: id)
        }
        let newConversation = NewConversation(
            .pets, dialectData: fields, creator: self.subscriptions.principal,
            members: [self.person] + others)
        let conversation = UUIDText.random()
        self.createdConversations[conversation] = CreatedConversation(
            fields: fields, creator: self.person.id,
            membersToNotify: newConversation.members.map(\.id))
        steps.append(
            .submit(
                .create(newConversation), in: self.subscriptions.key(conversation),
                RequestTag(kind: PetsRequestKind.create.rawValue, conversation: conversation)))
    }

    private mutating func readHistory(
        _ document: borrowing JSONDocument, _ text: RawSpan, into steps: inout SessionSteps
    ) throws(FieldError) {
        let data = try Self.data(document, text)
        let conversation = try document.requiredConversationID(
            "conversation_id", of: data, in: text)
        let limit = try document.optionalInteger("limit", within: 1...100, of: data, in: text) ?? 50
        let before = try document.optionalMessageID("before", of: data, in: text)
        let after = try document.optionalMessageID("after", of: data, in: text)
        guard before == nil || after == nil else {
            throw FieldError("after: cannot be combined with before")
        }
        let range: PageRange = after.map { .after($0) } ?? before.map { .before($0) } ?? .newest
        self.performAfterEntry(.history(range, limit: limit), in: conversation, into: &steps)
    }

    /// Performs a request after the connection has subscribed to the conversation.
    private mutating func performAfterEntry(
        _ request: DeferredRequest, in conversation: ByteString, into steps: inout SessionSteps
    ) {
        guard !self.subscriptions.contains(conversation) else {
            return self.perform(request, in: conversation, into: &steps)
        }
        self.requestsAwaitingEntry[conversation, default: []].append(request)
        self.subscriptions.enter(conversation, into: &steps)
    }

    func perform(
        _ request: DeferredRequest, in conversation: ByteString, into steps: inout SessionSteps
    ) {
        let key = self.subscriptions.key(conversation)
        switch request {
        case .message(let content, let localID, let requestedAt):
            let body = MessageBody(
                author: self.person,
                clientMessageID: localID.flatMap { ClientMessageID(given: $0) }, content: content)
            let tag = RequestTag(
                kind: PetsRequestKind.message.rawValue, text: localID, conversation: conversation,
                requestedAt: requestedAt)
            steps.append(.submit(.post(body), in: key, tag))
        case .history(let range, let limit):
            steps.append(
                .readPage(
                    key, range, limit: limit,
                    RequestTag(
                        kind: PetsRequestKind.history.rawValue,
                        number: range.isForward ? Self.forwardHistory : 0,
                        conversation: conversation)))
        }
    }

    func fetchConversations(after cursor: ByteString?, into steps: inout SessionSteps) {
        steps.fetchMemberships(
            of: self.person.id, in: self.tenant, after: cursor,
            RequestTag(kind: PetsRequestKind.list.rawValue))
    }

    // MARK: Tokens

    public mutating func authenticated(
        _ result: Result<Identity, CredentialError>, into steps: inout SessionSteps
    ) {
        switch result {
        case .success(let identity):
            self.subscriptions.updateIdentity(identity)
            self.mayBroadcast = self.anonymousMayBroadcast || identity.isAdmin
            steps.reply {
                $0.append(#"{"event":"authenticated","data":{"user_id":"#)
                $0.append(jsonString: UserID(of: identity).petsDisplayID)
                $0.append("}}")
            }
        case .failure(let error):
            steps.reply { $0.append(error: "token: \(error)", event: "authenticate") }
        }
    }

    public mutating func tokenExpired(into steps: inout SessionSteps) {
        steps.reply { $0.append(error: "token expired", event: nil) }
        steps.append(.close(4401, "token expired"))
    }

    public mutating func banned(_ notice: String, into steps: inout SessionSteps) {
        steps.reply { $0.append(error: notice, event: nil) }
        steps.append(.close(SessionStep.bannedCode, notice))
    }
}
