public import Bytes
public import ChatModel
public import Identity

/// The conversations of a connection that is for all of its user's, and not for one: those it is a member of, those its token names, and
/// those that it asks for itself.
///
/// A value for the sessions of such dialects: it appends the steps, and is told what came of them.
public struct UserSubscriptions: Sendable {
    public let tenant: ByteString
    public private(set) var actor: Principal
    private var grants: Grants
    private let kind: ConversationRecord.Kind
    private let skipsHistory: Bool
    /// The conversations that the connection hears.
    public private(set) var subscribed: Set<ByteString> = []
    /// Those that it has asked to hear without the client's asking.
    private var awaitingEntry: Set<ByteString> = []
    private var listedCount = 0

    /// A connection hears so many conversations of its own accord at most; whatever is beyond, the client has to name.
    public static let limit = 1000
    /// Tags of this kind and those above are not the session's.
    public static let firstTagKind: UInt8 = 0xF0
    private enum Kind: UInt8 { case list = 0xF0, enter, inbox, ownInbox }

    /// - Parameters:
    ///   - kind: what entering makes a conversation as, where the token names one that is not there.
    ///   - skipsHistory: whether who becomes a member by being listed has nothing unread.
    public init(
        tenant: ByteString, actor: Principal, grants: Grants, kind: ConversationRecord.Kind,
        skipsHistory: Bool = false
    ) {
        self.tenant = tenant
        self.actor = actor
        self.grants = grants
        self.kind = kind
        self.skipsHistory = skipsHistory
    }

    public func key(_ conversation: ByteString) -> ConversationKey {
        ConversationKey(tenant: self.tenant, id: conversation)
    }
    public func contains(_ conversation: ByteString) -> Bool {
        self.subscribed.contains(conversation)
    }
    public func joinRequest(for conversation: ByteString) -> JoinRequest {
        JoinRequest(
            principal: self.actor, isListedInToken: self.grants.include(conversation),
            kind: self.kind, marksHistoryRead: self.skipsHistory)
    }

    /// The user's inbox is heard first, and only then is asked for its conversations: what is made between the two is in one of them.
    public mutating func open(into steps: inout SessionSteps) {
        self.subscribeToInbox(
            .inbox(of: self.actor.person.id, in: self.tenant), Kind.ownInbox, into: &steps)
        if case .listed(let conversations) = self.grants {
            for conversation in conversations.sorted().prefix(Self.limit) {
                self.enter(conversation, into: &steps)
            }
        }
    }

    /// Hears an inbox from here on.
    public func subscribeToInbox(_ inbox: ConversationKey, into steps: inout SessionSteps) {
        self.subscribeToInbox(inbox, .inbox, into: &steps)
    }

    private func subscribeToInbox(
        _ inbox: ConversationKey, _ kind: Kind, into steps: inout SessionSteps
    ) {
        let entrance = JoinRequest(principal: self.actor, isListedInToken: true, kind: .inbox)
        steps.append(.enter(inbox, entrance, from: .now, RequestTag(kind: kind.rawValue)))
    }

    /// Hears a conversation from here on, if it does not already and the user may.
    public mutating func enter(_ conversation: ByteString, into steps: inout SessionSteps) {
        guard !self.contains(conversation), self.awaitingEntry.insert(conversation).inserted else {
            return
        }
        steps.append(
            .enter(
                self.key(conversation), self.joinRequest(for: conversation), from: .now,
                RequestTag(kind: Kind.enter.rawValue, conversation: conversation)))
    }

    private func fetchMemberships(after place: ByteString?, into steps: inout SessionSteps) {
        let request = StoreRequest.memberships(
            of: self.actor.person.id, tenant: self.tenant, after: place,
            limit: StoreRequest.listLimit, unreadLimit: 0)
        steps.append(.fetch(request, RequestTag(kind: Kind.list.rawValue)))
    }

    /// The session has entered a conversation itself, or a page of an answer told it to.
    public mutating func insert(_ conversation: ByteString) { self.subscribed.insert(conversation) }

    /// Tells the user's other connections of a conversation that this one has joined.
    public func notifyOtherConnections(_ conversation: ByteString, into steps: inout SessionSteps) {
        let body = MessageBody(
            author: self.actor.person, clientMessageID: nil, content: conversation.string)
        steps.append(
            .submit(.post(body), in: .inbox(of: self.actor.person.id, in: self.tenant), nil))
    }

    /// The user is no member of it any more, or the connection shall not hear it.
    public mutating func remove(_ conversation: ByteString) { self.subscribed.remove(conversation) }

    /// What the store says of the user's conversations.
    ///
    /// - Returns: whether it was asked here.
    public mutating func consume(
        _ answer: StoreAnswer?, for tag: RequestTag, into steps: inout SessionSteps
    ) -> Bool {
        guard tag.kind == Kind.list.rawValue else { return false }
        guard case .memberships(let page)? = answer else {
            // Better no connection than one that misses what is said.
            steps.append(
                .close(1013, "the conversations cannot be listed at the moment; try again"))
            return true
        }
        for membership in page.memberships where !membership.key.isInbox {
            guard self.listedCount < Self.limit else { return true }
            self.listedCount += 1
            self.enter(membership.key.id, into: &steps)
        }
        if let next = page.next { self.fetchMemberships(after: next, into: &steps) }
        return true
    }

    /// What the owner says of a conversation that was entered here.
    ///
    /// - Returns: whether it was.
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

    /// A fresh token of the same user's: what it lists beyond the first one's is entered when it is asked for.
    public mutating func updateIdentity(_ identity: Identity) {
        self.actor = Principal(person: self.actor.person, isAdmin: identity.isAdmin)
        self.grants = identity.grants
    }
}
