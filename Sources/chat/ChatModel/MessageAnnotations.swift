public import Bytes

/// What a message refers to, and the reactions to it.
///
/// A class, so that a message without annotations stores one empty reference. Nearly all messages
/// have none.
public final class MessageAnnotations: Sendable {
    /// The message that this one answers; nil for a message that starts no thread of its own.
    public let reply: Reply?
    /// The users that the author addresses; nil without mentions.
    public let mentions: Mentions?
    /// The reactions in their present state. Nil if there never was one: an empty value means that
    /// all of them were removed.
    public let reactions: Reactions?
    /// Whether the message is pinned. Nil if it never was.
    public let pin: PinState?

    /// Nil if the message has none of them.
    public init?(
        reply: Reply?, mentions: Mentions?, reactions: Reactions? = nil, pin: PinState? = nil
    ) {
        guard reply != nil || mentions != nil || reactions != nil || pin != nil else { return nil }
        self.reply = reply
        self.mentions = mentions
        self.reactions = reactions
        self.pin = pin
    }

    /// The same annotations at another place in the conversation's threads.
    public func with(_ reply: Reply?) -> MessageAnnotations? {
        MessageAnnotations(
            reply: reply, mentions: self.mentions, reactions: self.reactions, pin: self.pin)
    }
}

/// The last pin of a message, or its end.
///
/// A pinned message stays readable after the history has been trimmed (PROTOCOLS, "Pins").
public struct PinState: Sendable, Equatable {
    public let isPinned: Bool
    /// The user that pinned the message or ended the pin.
    public let by: Person
    public let at: Timestamp

    /// The most pinned messages of a conversation.
    public static let limit = 100

    public init(isPinned: Bool, by person: Person, at time: Timestamp) {
        self.isPinned = isPinned
        self.by = person
        self.at = time
    }
}

/// The place of a reply: the message that it answers, and the root of the thread.
///
/// A thread has one level: a reply to a reply has the root of that reply (PROTOCOLS, "Replies and
/// threads").
public struct Reply: Sendable, Equatable {
    public let to: SequenceNumber
    /// 0 in a request: the owner finds the root.
    public let thread: SequenceNumber

    public init(to: SequenceNumber, thread: SequenceNumber = 0) {
        self.to = to
        self.thread = thread
    }
}

/// The users that a message addresses.
public struct Mentions: Sendable, Equatable {
    /// Every member, named with `"all"`.
    public let includesEveryone: Bool
    /// The members that the author names. In a request: all users that it names.
    public let users: [UserID]
    /// The users that the author names and that were no members, for the answer to the author.
    public let nonMembers: [UserID]
    /// In a request: whether the author's token permits `"all"` in a conversation of any size.
    public let isByAdmin: Bool

    /// The most users that a message names.
    public static let limit = 50
    /// Above this number of members, only the creator and admins may mention all.
    public static let everyoneLimit = 20

    public init(
        includesEveryone: Bool = false, users: [UserID] = [], nonMembers: [UserID] = [],
        isByAdmin: Bool = false
    ) {
        self.includesEveryone = includesEveryone
        self.users = users
        self.nonMembers = nonMembers
        self.isByAdmin = isByAdmin
    }

    public func include(_ user: UserID) -> Bool {
        self.includesEveryone || self.users.contains(user)
    }
}

extension [Message] {
    /// Pinned messages in the order of their pins, oldest first. Owners and stores use one order.
    public func sortedByPin() -> [Message] {
        self.sorted { ($0.pinTime, $0.sequence) < ($1.pinTime, $1.sequence) }
    }
}

extension Message {
    fileprivate var pinTime: Int64 { self.body.annotations?.pin?.at.milliseconds ?? 0 }

    public var isPinned: Bool { self.body.annotations?.pin?.isPinned ?? false }

    /// Whether this message, if it is unread, counts as an unread mention of the user.
    public func mentions(_ user: UserID) -> Bool {
        self.state != .deleted && self.body.author.id != user
            && self.body.annotations?.mentions?.include(user) ?? false
    }
}
