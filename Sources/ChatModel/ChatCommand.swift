public import Bytes

/// What a session asks of the owner of a conversation.
public enum ChatCommand: Sendable {
    /// A connection of this person comes in: membership is judged, presence counted.
    case joinAndSubscribe(JoinRequest)
    /// Make a conversation that is not there yet. Apart, for it is larger than what is common.
    indirect case create(NewConversation)
    /// Say something.
    case post(MessageBody)
    /// Other words for a message; its author's or an admin's right.
    case edit(SequenceNumber, content: String, by: Principal)
    /// Take a message's words away; its author's or an admin's right.
    case delete(SequenceNumber, by: Principal)
    /// These messages have been read, and so has everything below the highest of them. Answered, and told to others, when that is stored.
    case read([SequenceNumber], by: UserID)
    /// Everything up to this message has been read. Answered, and told to others, when that is stored: what is unread is then counted from
    /// there.
    case readThrough(SequenceNumber, by: UserID)
    case typing(Bool, by: Person)
    /// Become a member of an open conversation without listening to it.
    case join(JoinRequest)
    /// Be no member any more.
    case leave(UserID)
    /// Nobody may write from now on; its creator's or an admin's right.
    case end(by: Principal)
    /// Who is there and what it is about: for members, and for the guests that are admitted. An admin is neither by being one.
    case describe(by: Principal, readAccess: ReadAccess = .membersOnly)
}

/// Who but members may look at a conversation.
public enum ReadAccess: UInt8, Sendable {
    case membersOnly = 0
    /// Whoever asks, if the conversation is open.
    case anyoneIfOpen = 1
    /// Whoever asks: the bearer of a token that lists it, say.
    case anyone = 2
}

/// A conversation that is to be made, with its first members.
public struct NewConversation: Sendable {
    public let kind: ConversationRecord.Kind
    public let title: String
    /// See `ConversationRecord.details`.
    public let dialectData: ByteString
    public let creator: Principal
    /// The creator too, where that is to be one.
    public let members: [Person]

    public init(
        kind: ConversationRecord.Kind, title: String = "", dialectData details: ByteString = "",
        creator: Principal, members: [Person]
    ) {
        self.kind = kind
        self.title = title
        self.dialectData = details
        self.creator = creator
        self.members = members
    }
}

/// Who acts, and whether a token says that it may do everything.
public struct Principal: Sendable {
    public let person: Person
    public let isAdmin: Bool

    public init(person: Person, isAdmin: Bool) {
        self.person = person
        self.isAdmin = isAdmin
    }
}

/// Somebody at a conversation's door.
public struct JoinRequest: Sendable {
    public let principal: Principal
    /// The bearer's token lists the conversation: it makes one a member, and the conversation if there is none.
    public let isListedInToken: Bool
    /// What a conversation is made as, where entering makes it.
    public let kind: ConversationRecord.Kind
    /// Whoever becomes a member by this has nothing unread: what was said before counts as read.
    public let marksHistoryRead: Bool

    public init(
        principal actor: Principal, isListedInToken isListed: Bool, kind: ConversationRecord.Kind,
        marksHistoryRead skipsHistory: Bool = false
    ) {
        self.principal = actor
        self.isListedInToken = isListed
        self.kind = kind
        self.marksHistoryRead = skipsHistory
    }
}
