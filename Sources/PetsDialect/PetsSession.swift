public import Bytes
public import ChatModel
public import DialectKit
public import Identity
public import JSON

/// One connection of the Pets protocol: a user in all conversations of the user's.
public struct PetsSession: DialectSession {
    private var subscriptions: UserSubscriptions
    /// Whether this user may say something to everybody of the tenant.
    private var mayBroadcast: Bool
    /// Whether everybody may: anonymous users come in, and only from this machine.
    private let anonymousMayBroadcast: Bool
    /// What the client wants in conversations that it does not hear yet.
    private var requestsAwaitingEntry: [ByteString: [DeferredRequest]] = [:]
    /// Conversations that were made for this user, until they are heard and the client is told.
    private var createdConversations: [ByteString: CreatedConversation] = [:]
    /// The list of conversations that is being read, page by page.
    private var listedConversations: [ListedMembership] = []

    enum PetsRequestKind: UInt8 { case list, message, history, create, broadcast }

    /// A conversation's fields as `PetsDetails` writes them, who made it, and who is to be told here.
    private struct CreatedConversation {
        let fields: ByteString
        let creator: UserID
        var membersToNotify: [UserID] = []
    }

    /// What takes a conversation that is heard.
    private enum DeferredRequest {
        /// - Parameter since: the millisecond at which the client sent it.
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

    init(identity: Identity, anonymousMayBroadcast trustsStrangers: Bool) {
        self.subscriptions = UserSubscriptions(
            tenant: identity.tenant,
            actor: Principal(person: Person(of: identity), isAdmin: identity.isAdmin),
            grants: identity.grants,
            kind: .pets)
        self.mayBroadcast = trustsStrangers || identity.isAdmin
        self.anonymousMayBroadcast = trustsStrangers
    }

    /// Somebody without a token.
    init(anonymousID id: ByteString, anonymousMayBroadcast trustsStrangers: Bool) {
        let person = Person(id: UserID(assigned: id), name: id)
        self.subscriptions = UserSubscriptions(
            tenant: Identity.defaultTenant, actor: Principal(person: person, isAdmin: false),
            grants: .none, kind: .pets)
        self.mayBroadcast = trustsStrangers
        self.anonymousMayBroadcast = trustsStrangers
    }

    public var principal: Principal? { self.subscriptions.actor }
    public var tenant: ByteString { self.subscriptions.tenant }
    public var homeConversation: ConversationKey? { nil }

    private var person: Person { self.subscriptions.actor.person }
    private var broadcastInbox: ConversationKey { .inbox(ofAll: "pets", in: self.tenant) }

    public mutating func opened(into steps: inout SessionSteps) {
        steps.reply { $0.append(connectedAs: self.person.id) }
        self.subscriptions.subscribeToInbox(self.broadcastInbox, into: &steps)
        self.subscriptions.open(into: &steps)
    }

    // MARK: What the client sends

    public mutating func receivedBinary(into steps: inout SessionSteps) {
        steps.reply { $0.append(error: "binary frames are not taken; send JSON text", event: nil) }
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
            self.listedConversations = []
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

    /// What a send is known by to its client, in whatever state the rest of it is.
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
        guard providers.allSatisfy(UUIDText.matches) else {
            throw FieldError("providers: each must be a UUID")
        }
        let fields = PetsDetails.fields(pet: pet, providers: providers)
        // Strangers have their ids from the server as well, and can only mean one another.
        let others = providers.map { provider in
            let id = ByteString(provider)
            return Person(
                id: self.person.id.isAnonymous ? UserID(assigned: id) : UserID(tokenSubject: id),
                name: id)
        }
        let founding = NewConversation(
            kind: .pets, dialectData: fields, creator: self.subscriptions.actor,
            members: [self.person] + others)
        let conversation = UUIDText.random()
        self.createdConversations[conversation] = CreatedConversation(
            fields: fields, creator: self.person.id, membersToNotify: founding.members.map(\.id))
        steps.append(
            .submit(
                .create(founding), in: self.subscriptions.key(conversation),
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
            throw FieldError("after: cannot stand beside before")
        }
        let range: PageRange = after.map { .after($0) } ?? before.map { .before($0) } ?? .newest
        self.performAfterEntry(.history(range, limit: limit), in: conversation, into: &steps)
    }

    /// Does what is wanted in a conversation, once it is heard.
    private mutating func performAfterEntry(
        _ request: DeferredRequest, in conversation: ByteString, into steps: inout SessionSteps
    ) {
        guard !self.subscriptions.contains(conversation) else {
            return self.perform(request, in: conversation, into: &steps)
        }
        self.requestsAwaitingEntry[conversation, default: []].append(request)
        self.subscriptions.enter(conversation, into: &steps)
    }

    private func perform(
        _ request: DeferredRequest, in conversation: ByteString, into steps: inout SessionSteps
    ) {
        let key = self.subscriptions.key(conversation)
        switch request {
        case .message(let content, let localID, let since):
            let body = MessageBody(
                author: self.person,
                clientMessageID: localID.flatMap { ClientMessageID(given: $0) }, content: content)
            let tag = RequestTag(
                kind: PetsRequestKind.message.rawValue, text: localID, conversation: conversation,
                requestedAt: since)
            steps.append(.submit(.post(body), in: key, tag))
        case .history(let range, let limit):
            steps.append(
                .readPage(
                    key, range, limit: limit,
                    RequestTag(kind: PetsRequestKind.history.rawValue, conversation: conversation)))
        }
    }

    private func fetchConversations(after place: ByteString?, into steps: inout SessionSteps) {
        let request = StoreRequest.memberships(
            of: self.person.id, tenant: self.tenant, after: place, limit: StoreRequest.listLimit,
            unreadLimit: 0)
        steps.append(.fetch(request, RequestTag(kind: PetsRequestKind.list.rawValue)))
    }

    // MARK: What comes of it

    public mutating func answered(
        _ answer: ChatAnswer, to tag: RequestTag, isDelivered isShown: Bool,
        into steps: inout SessionSteps
    ) {
        if self.subscriptions.consume(answer, for: tag, into: &steps) {
            if let conversation = tag.conversation {
                self.entryCompleted(conversation, answer, into: &steps)
            }
            return
        }
        switch (PetsRequestKind(rawValue: tag.kind), answer) {
        case (.message, .posted(let message)):
            guard let conversation = tag.conversation else { return }
            steps.reply { $0.append(sent: message, in: conversation, localID: tag.text) }
        case (.create, .described):
            guard let conversation = tag.conversation,
                let made = self.createdConversations[conversation]
            else { return }
            self.notifyMembers(of: conversation, made, into: &steps)
            self.subscriptions.enter(conversation, into: &steps)
        case (.create, .failed(let error)):
            if let conversation = tag.conversation { self.createdConversations[conversation] = nil }
            steps.reply { $0.append(error: error.description, event: "new_conversation") }
        case (let question, .failed(let error)):
            steps.reply {
                $0.append(
                    error: Self.errorText(error), event: question?.event,
                    localID: question == .message ? tag.text : nil,
                    outcome: error.outcome)
            }
        default:
            break
        }
    }

    /// Names the field that the core's error is about.
    private static func errorText(_ error: ChatError) -> String {
        switch error {
        case .noSuchConversation, .notAMember, .accessDenied: "conversation_id: \(error)"
        default: error.description
        }
    }

    /// Whoever is made a member of a conversation hears of it in the inbox; of the creator's connections the others do.
    private func notifyMembers(
        of conversation: ByteString, _ made: CreatedConversation, into steps: inout SessionSteps
    ) {
        // Under the conversation's id, so that it is told once, however often it is tried.
        let body = MessageBody(
            author: self.person, clientMessageID: ClientMessageID(given: conversation),
            content: conversation.string,
            metadata: Array("{\(made.fields)}".utf8))
        for member in Set(made.membersToNotify) {
            steps.append(.submit(.post(body), in: .inbox(of: member, in: self.tenant), nil))
        }
    }

    public mutating func receivedInboxMessage(
        _ message: Message, in inbox: ConversationKey, into steps: inout SessionSteps
    ) {
        let conversation = ByteString(message.body.content)
        guard !self.subscriptions.contains(conversation),
            self.createdConversations[conversation] == nil
        else { return }
        if let metadata = message.body.metadata {
            let fields = ByteString(
                String(decoding: metadata.dropFirst().dropLast(), as: UTF8.self))
            self.createdConversations[conversation] = CreatedConversation(
                fields: fields, creator: message.body.author.id)
        }
        self.subscriptions.enter(conversation, into: &steps)
    }

    /// The client is told of a conversation only when it hears it, so that it misses nothing of what is said there.
    private mutating func entryCompleted(
        _ conversation: ByteString, _ answer: ChatAnswer, into steps: inout SessionSteps
    ) {
        let made = self.createdConversations.removeValue(forKey: conversation)
        let requests = self.requestsAwaitingEntry.removeValue(forKey: conversation) ?? []
        if case .failed(let error) = answer {
            // None of them was sent.
            for request in requests {
                steps.reply {
                    $0.append(
                        error: Self.errorText(error), event: request.event, localID: request.localID
                    )
                }
            }
            return
        }
        if let made {
            steps.reply { $0.append(created: conversation, made.fields, client: made.creator) }
        }
        for request in requests { self.perform(request, in: conversation, into: &steps) }
    }

    public mutating func receivedPage(
        _ page: MessagePage?, for tag: RequestTag, into steps: inout SessionSteps
    ) {
        guard let page, let conversation = tag.conversation else {
            steps.reply {
                $0.append(
                    error: "the history cannot be read at the moment; try again", event: "history")
            }
            return
        }
        steps.reply { $0.append(history: page.messages, of: conversation) }
    }

    public mutating func receivedStoreAnswer(
        _ answer: StoreAnswer?, for tag: RequestTag, into steps: inout SessionSteps
    ) {
        guard !self.subscriptions.consume(answer, for: tag, into: &steps) else { return }
        guard case .memberships(let page)? = answer else {
            self.listedConversations = []
            steps.reply {
                $0.append(
                    error: "the conversations cannot be listed at the moment; try again",
                    event: "conversations")
            }
            return
        }
        // An ended one is not active.
        self.listedConversations += page.memberships.filter {
            !$0.key.isInbox && $0.record.endedAt == nil
        }
        self.listedConversations.sort {
            ($1.record.updatedAt, $0.key.id) < ($0.record.updatedAt, $1.key.id)
        }
        self.listedConversations.removeLast(
            max(0, self.listedConversations.count - UserSubscriptions.limit))
        if let next = page.next { return self.fetchConversations(after: next, into: &steps) }
        steps.reply { $0.append(conversations: self.listedConversations) }
        self.listedConversations = []
    }

    public mutating func leftConversation(
        _ conversation: ConversationKey, into steps: inout SessionSteps
    ) {
        self.subscriptions.remove(conversation.id)
    }

    /// Nobody resumes in this protocol: what was missed is in the history.
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
}

extension PetsSession.PetsRequestKind {
    /// What the client asked for, in its words.
    var event: ByteString? {
        switch self {
        case .list: "conversations"
        case .message: "message"
        case .history: "history"
        case .create: "new_conversation"
        case .broadcast: "broadcast"
        }
    }
}
