/// What a session asks of the owner of a conversation.
public enum ChatCommand: Sendable {
    /// A connection of this person comes in: membership is judged, presence counted.
    case enter(Entrance)
    /// Say something.
    case post(MessageBody)
    /// Other words for a message; its author's or an admin's right.
    case edit(SequenceNumber, content: String, by: Actor)
    /// Take a message's words away; its author's or an admin's right.
    case delete(SequenceNumber, by: Actor)
    /// These messages have been read, and so has everything below the highest of them.
    case read([SequenceNumber], by: UserID)
    case typing(Bool, by: Person)
    /// Become a member of an open conversation without listening to it.
    case join(Entrance)
    /// Be no member any more.
    case part(UserID)
    /// Nobody may write from now on; its creator's or an admin's right.
    case end(by: Actor)
    /// Who is there and what it is about.
    case describe(by: Actor)
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
    public let access: ConversationRecord.Access

    public init(actor: Actor, isListed: Bool, access: ConversationRecord.Access) {
        self.actor = actor
        self.isListed = isListed
        self.access = access
    }
}
