public import Bytes

/// A session's request to the owner of a conversation.
public enum ChatCommand: Sendable {
    /// Joins, if the user is not a member yet, and subscribes a connection. The user then counts as
    /// present.
    case joinAndSubscribe(JoinRequest)
    /// Creates a conversation. Indirect: larger than the common cases.
    indirect case create(NewConversation)
    /// Sends a message.
    case post(MessageBody)
    /// Replaces the text of a message. Only its author and admins may do this.
    case edit(SequenceNumber, content: String, by: Principal)
    /// Deletes the text of a message. Only its author and admins may do this.
    case delete(SequenceNumber, by: Principal)
    /// Sets or removes a reaction of the user. The answer follows when it is stored. Indirect:
    /// larger than the common cases.
    indirect case react(SequenceNumber, Emoji, isOn: Bool, by: Principal)
    /// Pins a message. A message that is pinned already becomes the newest pin.
    case pin(SequenceNumber, by: Principal)
    /// Ends the pin of a message, if it is pinned.
    case unpin(SequenceNumber, by: Principal)
    /// Returns the pinned messages. `readAccess` as in `describe`.
    case pins(by: Principal, readAccess: ReadAccess = .membersOnly)
    /// Marks these messages, and all below the highest of them, as read. The answer and the event
    /// follow when the store has the cursor. There is no event if the cursor was there before.
    case read([SequenceNumber], by: UserID)
    /// Marks all messages up to this one as read, as `read`. Unread counts start from the cursor.
    case readThrough(SequenceNumber, by: UserID)
    case typing(Bool, by: Person)
    /// Joins without subscribing.
    case join(JoinRequest)
    /// Ends the user's membership.
    case leave(UserID)
    /// Makes another user a member. Only the creator and admins may do this. The answer says
    /// whether the user was a member before. Indirect: larger than the common cases.
    indirect case addMember(Person, by: Principal)
    /// Ends another user's membership. Only the creator and admins may do this.
    case removeMember(UserID, by: Principal)
    /// Changes properties of the conversation. Only its creator and admins may do this. The answer
    /// is `described`. Indirect: larger than the common cases.
    indirect case update(ConversationUpdate, by: Principal)
    /// Returns the read positions of the members. Only members may read them.
    case receipts(by: UserID)
    /// Ends the conversation: it becomes read-only. Only its creator and admins may do this.
    case end(by: Principal)
    /// Returns the record, some of the members and their presence. Members may always read them,
    /// and `readAccess` may admit others. An admin needs the same permission. Indirect: larger than
    /// the common cases.
    indirect case describe(
        by: Principal, readAccess: ReadAccess = .membersOnly, members: MemberSelection = .shown)
}

extension ChatCommand {
    /// The user that acts.
    public var user: UserID {
        switch self {
        case .joinAndSubscribe(let request), .join(let request): request.principal.person.id
        case .create(let conversation): conversation.creator.person.id
        case .post(let body): body.author.id
        case .read(_, let user), .readThrough(_, let user), .leave(let user),
            .receipts(let user):
            user
        case .typing(_, let person): person.id
        case .edit(_, _, let principal), .delete(_, let principal), .addMember(_, let principal),
            .removeMember(_, let principal), .end(let principal), .describe(let principal, _, _),
            .react(_, _, _, let principal), .pin(_, let principal), .unpin(_, let principal),
            .pins(let principal, _), .update(_, let principal):
            principal.person.id
        }
    }
}

/// The users besides members that may describe a conversation.
public enum ReadAccess: UInt8, Sendable {
    case membersOnly = 0
    /// Any user, if the conversation is open.
    case anyoneIfOpen = 1
    /// Any user: for example, the bearer of a token that lists the conversation.
    case anyone = 2
}

/// The properties of a conversation to change; nil leaves a property as it is.
public struct ConversationUpdate: Sendable, Equatable {
    public var title: String?
    /// The data of the dialect with this origin. Other conversations have their own data there, so
    /// the update of one of them is refused.
    public var dialectData: ByteString?
    public var origin: ByteString
    public var joinPolicy: ConversationRecord.JoinPolicy?
    /// A conversation that becomes closed is no longer listed, unless this is true: then the update
    /// is refused.
    public var isListed: Bool?

    public init(origin: ByteString) {
        self.origin = origin
    }

    /// The record after the update. Throws if a closed conversation would be listed, or has
    /// other data.
    public func applied(to record: ConversationRecord) throws(ChatError) -> ConversationRecord {
        var updated = record
        if let title = self.title { updated.title = title }
        if let data = self.dialectData {
            guard record.origin == self.origin else { throw .noDescription }
            updated.dialectData = data
        }
        if let joinPolicy = self.joinPolicy { updated.joinPolicy = joinPolicy }
        if updated.joinPolicy == .closed {
            guard self.isListed != true else { throw .closedIsUnlisted }
            updated.isListed = false
        } else if let isListed = self.isListed {
            updated.isListed = isListed
        }
        return updated
    }
}

/// A conversation to create, with its first members.
public struct NewConversation: Sendable {
    /// The updated. The owner sets the creator and the times.
    public var record: ConversationRecord
    public let creator: Principal
    /// Includes the creator if the creator is to be a member.
    public let members: [Person]

    public init(_ record: ConversationRecord, creator: Principal, members: [Person]) {
        self.record = record
        self.creator = creator
        self.members = members
    }

    public init(
        _ template: ConversationTemplate, title: String = "", dialectData: ByteString = "",
        creator: Principal, members: [Person]
    ) {
        self.init(
            ConversationRecord(
                template, title: title, dialectData: dialectData, creator: nil,
                createdAt: Timestamp(milliseconds: 0)),
            creator: creator, members: members)
    }
}

/// The user that acts, and whether its token grants admin rights.
public struct Principal: Sendable {
    public let person: Person
    public let isAdmin: Bool

    public init(person: Person, isAdmin: Bool) {
        self.person = person
        self.isAdmin = isAdmin
    }
}

/// A request to join a conversation.
public struct JoinRequest: Sendable {
    public let principal: Principal
    /// The token lists the conversation. Its bearer may join. If the conversation does not exist,
    /// its bearer creates it as a closed one, without a creator unless the bearer is an admin.
    public let isListedInToken: Bool
    /// The origin of the conversation if the join creates it; see `isListedInToken`.
    public let template: ConversationTemplate
    /// A new member starts with all earlier messages marked as read.
    public let marksHistoryRead: Bool

    public init(
        principal: Principal, isListedInToken: Bool, template: ConversationTemplate,
        marksHistoryRead: Bool = false
    ) {
        self.principal = principal
        self.isListedInToken = isListedInToken
        self.template = template
        self.marksHistoryRead = marksHistoryRead
    }
}
