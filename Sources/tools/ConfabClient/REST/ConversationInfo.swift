public import Bytes
import JSON

/// The users that may join a conversation.
public enum ConversationAccess: String, Sendable {
    /// Every user who has the link.
    case open
    /// Only members, and users whose token lists the conversation.
    case closed
}

/// A conversation as the REST API describes it.
public struct ConversationInfo: Sendable, Equatable {
    public let id: String
    public let title: String
    public let description: String
    /// The user who created it; nil if it has no creator.
    public let createdBy: String?
    public let createdAt: Timestamp?
    /// The time of the last message, edit, deletion or end.
    public let updatedAt: Timestamp?
    /// False once it was ended.
    public let isActive: Bool
    public let access: ConversationAccess
    /// Whether users who are no members find it in the list.
    public let isListed: Bool
    public let messageCount: Int
    public let participantCount: Int
    /// At most 1,000, in lists 50.
    public let participants: [ConversationParticipant]
    public let lastMessage: ChatMessage?
    /// In lists, for the user of a token.
    public let unreadCount: Int?
    public let unreadMentions: Int?
    public let lastReadID: Int?
    /// The link to join; only its creator gets it, from `create`.
    public internal(set) var link: String?

    init?(_ tree: JSONTree?) {
        guard let tree, let id = tree["room_id"]?.stringValue else { return nil }
        self.id = id
        self.title = tree["title"]?.stringValue ?? ""
        self.description = tree["description"]?.stringValue ?? ""
        self.createdBy = tree.roomsUser("created_by")
        self.createdAt = tree["created_at"]?.stringValue.flatMap { Timestamp(rfc3339: $0) }
        self.updatedAt = tree["updated_at"]?.stringValue.flatMap { Timestamp(rfc3339: $0) }
        self.isActive = tree["is_active"]?.boolValue ?? true
        self.access = tree["access"]?.stringValue.flatMap { .init(rawValue: $0) } ?? .open
        self.isListed = tree["listed"]?.boolValue ?? true
        self.messageCount = tree["message_count"]?.decimal ?? 0
        self.participants = tree["participants"]?.elements?.compactMap { .init($0) } ?? []
        self.participantCount = tree["participant_count"]?.decimal ?? self.participants.count
        self.lastMessage = tree["last_message"].flatMap { ChatMessage(rooms: $0) }
        self.unreadCount = tree["unread_count"]?.decimal
        self.unreadMentions = tree["unread_mentions"]?.decimal
        self.lastReadID = tree["last_read_id"]?.decimal
    }
}

/// A page of conversations.
public struct ConversationPage: Sendable, Equatable {
    public let conversations: [ConversationInfo]
    /// For the next page; nil at the end.
    public let nextCursor: String?

    init(_ tree: JSONTree) {
        self.conversations = tree["conversations"]?.elements?.compactMap { .init($0) } ?? []
        self.nextCursor = tree["next_cursor"]?.stringValue
    }
}

/// A user in a conversation. Guests of one id differ by `guestKey`.
public struct ConversationParticipant: Sendable, Equatable {
    /// The id; that of a guest begins with `guest:`.
    public let user: String
    public let name: String
    public let isOnline: Bool
    public let guestKey: String?

    init?(_ tree: JSONTree) {
        guard let user = tree.roomsUser() else { return nil }
        self.user = user
        self.name = tree["username"]?.stringValue ?? user
        self.isOnline = tree["online"]?.boolValue ?? false
        self.guestKey = tree["guest_key"]?.stringValue
    }
}

/// A page of the members of a conversation, in the order of their ids.
public struct ConversationMembers: Sendable, Equatable {
    public let members: [ConversationParticipant]
    /// The creator, if it is in this page and was a member ever since.
    public let creator: String?
    /// For the next page; nil at the end.
    public let nextCursor: String?

    init(_ tree: JSONTree) {
        let elements = tree["members"]?.elements ?? []
        self.members = elements.compactMap { .init($0) }
        self.creator = elements.first { $0["creator"]?.boolValue == true }?.roomsUser()
        self.nextCursor = tree["next_cursor"]?.stringValue
    }
}

/// The read positions of a conversation.
public struct ConversationReceipts: Sendable, Equatable {
    /// Up to which message a member has read, and up to which its client has received.
    public struct MemberPosition: Sendable, Equatable {
        public let user: String
        public let name: String
        public let read: Int
        public let delivered: Int
    }

    /// The position of this user.
    public let read: Int
    public let delivered: Int
    /// The 100 highest positions, highest first.
    public let members: [MemberPosition]
    /// The number of members that have a position.
    public let total: Int

    init(_ tree: JSONTree) {
        self.read = tree["me"]?["read"]?.decimal ?? 0
        self.delivered = tree["me"]?["delivered"]?.decimal ?? 0
        self.total = tree["total"]?.decimal ?? 0
        self.members =
            tree["receipts"]?.elements?.compactMap { entry in
                entry.roomsUser().map { user in
                    MemberPosition(
                        user: user, name: entry["username"]?.stringValue ?? user,
                        read: entry["read"]?.decimal ?? 0,
                        delivered: entry["delivered"]?.decimal ?? 0)
                }
            } ?? []
    }
}

extension JSONTree {
    /// A number that is 0 or greater: a decimal string or an integer.
    fileprivate var decimal: Int? {
        (self.stringValue.flatMap { Int($0) } ?? self.integerValue).flatMap { $0 >= 0 ? $0 : nil }
    }
}

/// Messages that a search in all conversations of a user has found.
public struct FoundEverywhere: Sendable, Equatable {
    /// A message with its conversation.
    public struct LocatedMessage: Sendable, Equatable {
        public let conversation: String
        public let title: String
        public let message: ChatMessage
    }

    /// Newest first.
    public let results: [LocatedMessage]
    /// Whether some conversations did not answer within a second, or the user has more than the
    /// server searches.
    public let isIncomplete: Bool

    init(_ tree: JSONTree, message: (JSONTree) -> ChatMessage?) {
        self.isIncomplete = tree["incomplete"]?.boolValue ?? false
        self.results =
            tree["results"]?.elements?.compactMap { entry in
                guard let conversation = entry["room_id"]?.stringValue,
                    let message = entry["message"].flatMap(message)
                else { return nil }
                return LocatedMessage(
                    conversation: conversation, title: entry["title"]?.stringValue ?? "",
                    message: message)
            } ?? []
    }
}
