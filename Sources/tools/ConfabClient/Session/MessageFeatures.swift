public import Bytes

/// The users that reacted to a message with one emoji.
public struct MessageReaction: Sendable, Equatable {
    public var emoji: String
    public var count: Int
    /// The first 20 of them.
    public var users: [String]
    /// Whether this client's user is one of them.
    public var isMine: Bool

    public init(_ emoji: String, count: Int, users: [String], isMine: Bool = false) {
        self.emoji = emoji
        self.count = count
        self.users = users
        self.isMine = isMine
    }
}

/// Who pinned a message, and when.
public struct MessagePin: Sendable, Equatable {
    public var by: String
    /// The display name.
    public var byName: String
    public var at: Timestamp?

    public init(by: String, byName: String, at: Timestamp? = nil) {
        self.by = by
        self.byName = byName
        self.at = at
    }
}

/// The beginning of the message to which another one replies, in its present state.
public struct MessageExcerpt: Sendable, Equatable {
    public var id: Int
    public var author: String
    public var displayName: String
    public var text: String

    public init(id: Int, author: String, displayName: String, text: String) {
        self.id = id
        self.author = author
        self.displayName = displayName
        self.text = text
    }

    /// The most characters of a text that a reply shows.
    static let characterLimit = 120
}

/// The users that a message addresses.
public enum MentionedUsers: Sendable, Equatable {
    case users([String])
    /// Every member.
    case all

    public static let none = MentionedUsers.users([])

    public func include(_ user: String) -> Bool {
        switch self {
        case .users(let users): users.contains(user)
        case .all: true
        }
    }
}

/// Messages that a search has found.
public struct FoundMessages: Sendable, Equatable {
    /// Newest first.
    public var messages: [ChatMessage]
    /// The number below which the search continues; nil at the end.
    public var nextBefore: Int?
    /// Whether the server could not search everything.
    public var isIncomplete = false
}

extension ChatMessage {
    /// What replies to this message show; nil if it is deleted.
    package var excerpt: MessageExcerpt? {
        self.isDeleted
            ? nil
            : MessageExcerpt(
                id: self.id, author: self.author, displayName: self.displayName,
                text: String(self.text.prefix(MessageExcerpt.characterLimit)))
    }
}
