public import Bytes
public import ChatModel
public import Identity

/// The subscriptions of a connection that serves all conversations of its user: those in which the
/// user is a member, those that the token lists, and those that the client names.
///
/// A value inside the session: it appends steps and consumes their answers.
public struct UserSubscriptions: Sendable {
    public let tenant: ByteString
    public private(set) var principal: Principal
    private var grants: Grants
    private let template: ConversationTemplate
    private let marksHistoryRead: Bool
    /// The conversations to which the connection is subscribed.
    public private(set) var subscribed: Set<ByteString> = []
    /// Conversations whose `enter` step has no answer yet.
    private var awaitingEntry: Set<ByteString> = []
    /// The user's conversations in the pages of the list that have arrived, by the time of their
    /// newest activity: at most `limit`.
    private var newest: [PageCursor] = []

    /// The maximum number of conversations of the user, and of the token, that a connection enters
    /// automatically: those of the user with the newest activity. The client must name any others.
    public static let limit = 1000
    /// Tags of this kind and above belong to this type and not to the session.
    public static let firstTagKind: UInt8 = 0xF0
    private enum Kind: UInt8 { case list = 0xF0, enter, inbox, ownInbox }

    /// - Parameters:
    ///   - template: the properties of a conversation that is created because the token lists it.
    ///   - marksHistoryRead: whether a user who becomes a member through the token has no unread
    ///     messages.
    public init(
        tenant: ByteString, principal: Principal, grants: Grants, template: ConversationTemplate,
        marksHistoryRead: Bool = false
    ) {
        self.tenant = tenant
        self.principal = principal
        self.grants = grants
        self.template = template
        self.marksHistoryRead = marksHistoryRead
    }

    public func key(_ conversation: ByteString) -> ConversationKey {
        ConversationKey(tenant: self.tenant, id: conversation)
    }
    public func contains(_ conversation: ByteString) -> Bool {
        self.subscribed.contains(conversation)
    }
    public func joinRequest(for conversation: ByteString) -> JoinRequest {
        JoinRequest(
            principal: self.principal, isListedInToken: self.grants.include(conversation),
            template: self.template, marksHistoryRead: self.marksHistoryRead)
    }

    /// Subscribes to the user's inbox first and requests the list of conversations afterwards. A
    /// conversation created in between appears in one of the two.
    public mutating func open(into steps: inout SessionSteps) {
        self.subscribeToInbox(
            .inbox(of: self.principal.person.id, in: self.tenant), Kind.ownInbox, into: &steps)
        if case .listed(let conversations) = self.grants {
            for conversation in conversations.sorted().prefix(Self.limit) {
                self.enter(conversation, into: &steps)
            }
        }
    }

    /// Subscribes to an inbox.
    public func subscribeToInbox(_ inbox: ConversationKey, into steps: inout SessionSteps) {
        self.subscribeToInbox(inbox, .inbox, into: &steps)
    }

    private func subscribeToInbox(
        _ inbox: ConversationKey, _ kind: Kind, into steps: inout SessionSteps
    ) {
        let request = JoinRequest(
            principal: self.principal, isListedInToken: true, template: .inbox)
        steps.append(.enter(inbox, request, from: .now, RequestTag(kind: kind.rawValue)))
    }

    /// Subscribes to a conversation, unless the connection already is. The owner checks that the
    /// user may enter.
    ///
    /// - Parameter start: where the messages begin. `now` is for a conversation of which the client
    ///   knows nothing before the answer, and for those that the connection enters while it opens:
    ///   the client is accepted after that.
    public mutating func enter(
        _ conversation: ByteString, from start: StartPosition = .now, into steps: inout SessionSteps
    ) {
        guard !self.contains(conversation), self.awaitingEntry.insert(conversation).inserted else {
            return
        }
        steps.append(
            .enter(
                self.key(conversation), self.joinRequest(for: conversation), from: start,
                RequestTag(kind: Kind.enter.rawValue, conversation: conversation)))
    }

    /// Subscribes to the conversation of a notice. Other users can send notices without limit, so
    /// it does nothing if the connection has all the subscriptions that it may get automatically.
    ///
    /// - Returns: whether the connection is subscribed or requests it.
    public mutating func enter(_ notice: InboxNotice, into steps: inout SessionSteps) -> Bool {
        guard self.subscribed.count + self.awaitingEntry.count < 2 * Self.limit else {
            return self.contains(notice.conversation)
        }
        self.enter(
            notice.conversation,
            from: .after(notice.position.head, since: notice.position.revision), into: &steps)
        return true
    }

    private func fetchMemberships(after cursor: ByteString?, into steps: inout SessionSteps) {
        steps.fetchMemberships(
            of: self.principal.person.id, in: self.tenant, after: cursor,
            RequestTag(kind: Kind.list.rawValue))
    }

    /// Records a conversation that the session has entered itself.
    public mutating func insert(_ conversation: ByteString) { self.subscribed.insert(conversation) }

    /// Notifies the user's other connections of a conversation that this one has joined.
    public func notifyOtherConnections(_ notice: InboxNotice, into steps: inout SessionSteps) {
        steps.append(
            .submit(
                .post(notice.body(by: self.principal.person)),
                in: .inbox(of: self.principal.person.id, in: self.tenant), nil))
    }

    /// Removes a conversation of which the user is no longer a member.
    public mutating func remove(_ conversation: ByteString) { self.subscribed.remove(conversation) }

    /// Consumes an answer of the store if it belongs to the list of conversations.
    ///
    /// - Returns: whether it does.
    public mutating func consume(
        _ answer: StoreAnswer?, for tag: RequestTag, into steps: inout SessionSteps
    ) -> Bool {
        guard tag.kind == Kind.list.rawValue else { return false }
        guard case .memberships(let page)? = answer else {
            // A closed connection is better than one that misses messages.
            steps.append(
                .close(1013, "the conversations cannot be listed at the moment; try again"))
            return true
        }
        self.newest += page.memberships.filter { !$0.key.isInbox }.map {
            PageCursor(time: $0.record.updatedAt, id: $0.key.id)
        }
        if self.newest.count > Self.limit {
            // The order of the pages has no meaning.
            self.newest.sort(by: >)
            self.newest.removeLast(self.newest.count - Self.limit)
        }
        if let next = page.next {
            self.fetchMemberships(after: next, into: &steps)
        } else {
            for conversation in exchange(&self.newest, with: []) {
                self.enter(conversation.id, into: &steps)
            }
        }
        return true
    }

    /// Consumes an answer of an owner if it belongs to a conversation that was entered here.
    ///
    /// - Returns: whether it does.
    public mutating func consume(
        _ answer: ChatAnswer, for tag: RequestTag, into steps: inout SessionSteps
    ) -> Bool {
        switch Kind(rawValue: tag.kind) {
        case .enter:
            guard let conversation = tag.conversation else { return true }
            self.awaitingEntry.remove(conversation)
            switch answer {
            case .joined: self.subscribed.insert(conversation)
            case .failed(.unavailable):
                steps.append(
                    .close(1013, "a conversation cannot be entered at the moment; try again"))
            default: break
            }
            return true
        case .inbox, .ownInbox:
            if case .failed = answer {
                steps.append(.close(1013, "the inbox cannot be read at the moment; try again"))
            } else if tag.kind == Kind.ownInbox.rawValue {
                self.fetchMemberships(after: nil, into: &steps)
            }
            return true
        case .list:
            return true
        case nil:
            return false
        }
    }

    /// Replaces the rights of the user by those of a new token. Conversations that only the new
    /// token lists are entered when the client names them.
    public mutating func updateIdentity(_ identity: Identity) {
        self.principal = Principal(person: self.principal.person, isAdmin: identity.isAdmin)
        self.grants = identity.grants
    }
}
