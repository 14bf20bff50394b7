public import Bytes

/// What a session asks of the owner of a conversation.
public enum ChatCommand: Sendable {
    /// A connection of this person comes in: membership is judged, presence counted.
    case enter(Entrance)
    /// Make a conversation that is not there yet. Apart, for it is larger than what is common.
    indirect case create(Founding)
    /// Say something.
    case post(MessageBody)
    /// Other words for a message; its author's or an admin's right.
    case edit(SequenceNumber, content: String, by: Actor)
    /// Take a message's words away; its author's or an admin's right.
    case delete(SequenceNumber, by: Actor)
    /// These messages have been read, and so has everything below the highest of them. Answered, and told to others, when that is stored.
    case read([SequenceNumber], by: UserID)
    /// Everything up to this message has been read. Answered, and told to others, when that is stored: what is unread is then counted from
    /// there.
    case readThrough(SequenceNumber, by: UserID)
    case typing(Bool, by: Person)
    /// Become a member of an open conversation without listening to it.
    case join(Entrance)
    /// Be no member any more.
    case part(UserID)
    /// Nobody may write from now on; its creator's or an admin's right.
    case end(by: Actor)
    /// Who is there and what it is about: for members, and for the guests that are admitted. An admin is neither by being one.
    case describe(by: Actor, guests: Guests = .none)
}

/// Who but members may look at a conversation.
public enum Guests: UInt8, Sendable {
    case none = 0
    /// Whoever asks, if the conversation is open.
    case ofOpen = 1
    /// Whoever asks: the bearer of a token that lists it, say.
    case all = 2
}

/// A conversation that is to be made, with its first members.
public struct Founding: Sendable {
    public let kind: ConversationRecord.Kind
    public let title: String
    /// See `ConversationRecord.details`.
    public let details: ByteString
    public let creator: Actor
    /// The creator too, where that is to be one.
    public let members: [Person]

    public init(kind: ConversationRecord.Kind, title: String = "", details: ByteString = "", creator: Actor, members: [Person]) {
        self.kind = kind
        self.title = title
        self.details = details
        self.creator = creator
        self.members = members
    }
}

/// Who acts, and whether a token says that it may do everything.
public struct Actor: Sendable {
    public let person: Person
    public let isAdmin: Bool

    public init(person: Person, isAdmin: Bool) {
        self.person = person
        self.isAdmin = isAdmin
    }
}

/// Somebody at a conversation's door.
public struct Entrance: Sendable {
    public let actor: Actor
    /// The bearer's token lists the conversation: it makes one a member, and the conversation if there is none.
    public let isListed: Bool
    /// What a conversation is made as, where entering makes it.
    public let kind: ConversationRecord.Kind
    /// Whoever becomes a member by this has nothing unread: what was said before counts as read.
    public let skipsHistory: Bool

    public init(actor: Actor, isListed: Bool, kind: ConversationRecord.Kind, skipsHistory: Bool = false) {
        self.actor = actor
        self.isListed = isListed
        self.kind = kind
        self.skipsHistory = skipsHistory
    }
}
