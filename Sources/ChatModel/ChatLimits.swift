/// The limits and times of the chat itself.
public struct ChatLimits: Sendable {
    /// UTF-8 bytes of a message's decoded text.
    public var contentBytes = 16_384
    /// Bytes of `metadata` as received.
    public var metadataBytes = 8192
    /// Messages kept per conversation; 0 keeps all.
    public var historyLimit = 10_000
    /// The number of newest messages that an owner remembers to recognize repeated sends and to
    /// mark receipts.
    public var recentMessages = 1000
    public var membersPerConversation = 100_000
    /// The most user ids in one request.
    public static let usersPerRequest = 100
    /// The bytes of a frame with a page of messages. A page has at least one message.
    public var pageBytes = 262_144
    /// The bytes of an answer with a list; a longer list is cut.
    public var answerBytes = 1_048_576
    /// The sustained rate and the burst of one user's changes to one conversation, over all nodes.
    public var messagesPerSecond = Int.max
    public var messageBurst = Int.max
    /// A typing state expires after this time unless it is renewed.
    public var typingTimeout: Duration = .seconds(6)
    public var typingUsersPerConversation = 50
    /// The minimum time between two events about the reactions to one message.
    public var reactionInterval: Duration = .milliseconds(250)
    /// An absence shorter than this is not announced.
    public var minimumAbsence: Duration = .seconds(2)
    /// The minimum time between two presence announcements, so that arrivals are batched.
    public var arrivalInterval: Duration = .seconds(1)
    /// A conversation becomes a crowd above the first number of present users: it announces counts
    /// in place of single users. It stops being one below the second number.
    public var crowdAbove = 200
    public var crowdEndsBelow = 150
    /// The minimum time between two announcements in a crowd, and the most changes in each.
    public var crowdInterval: Duration = .seconds(2)
    public var crowdChangeLimit = 100
    /// The most messages that one move of a read cursor marks as read, and the most that a reader
    /// names in one request.
    public var readReceiptLimit = 100
    /// How long delivered cursors wait to be stored together. They move with every message, and
    /// loops report them to a new owner again.
    public var deliveredFlushDelay: Duration = .seconds(5)
    /// How long owners retain stored changes in case the store loses them, as Redis may at a
    /// failover. Zero for a store that loses nothing.
    public var retention: Duration = .zero
    /// How long a conversation without subscribers stays in memory.
    public var idleTimeout: Duration = .seconds(60)
    /// The number of steps of messages that each loop keeps for traces, at 48 bytes each.
    /// It is rounded up to a power of two.
    public var traceRecords = 1024

    public init() {}
}
