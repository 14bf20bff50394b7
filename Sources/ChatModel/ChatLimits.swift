/// The bounds and times of the chat itself.
public struct ChatLimits: Sendable {
    /// UTF-8 bytes of a message's decoded text.
    public var contentBytes = 16_384
    /// Bytes of `metadata` as received.
    public var metadataBytes = 8192
    /// Messages kept of each conversation; 0 keeps all.
    public var historyLimit = 10_000
    /// How many of the newest messages are remembered by their client ids, and have delivered and read marks.
    public var recentMessages = 1000
    public var membersPerConversation = 1_000_000
    /// A typing state ends by itself after this.
    public var typingTimeout: Duration = .seconds(6)
    public var typingUsersPerConversation = 50
    /// An absence shorter than this is not announced.
    public var minimumAbsence: Duration = .seconds(2)
    /// After an announcement of who came, the next waits this long for company.
    public var arrivalInterval: Duration = .seconds(1)
    /// Above the first number of people present events per person stop, until there are fewer than the second.
    public var crowdAbove = 200
    public var crowdEndsBelow = 150
    /// How often a crowd hears of itself, and how many changes it is told at once.
    public var crowdInterval: Duration = .seconds(2)
    public var crowdChangeLimit = 100
    /// How many ids a `read` tells of at most.
    public var readReceiptLimit = 100
    /// How long cursors of what has only been delivered wait for company before they are stored: they move with every message, and loops name
    /// them to a new owner by themselves.
    public var deliveredFlushDelay: Duration = .seconds(5)
    /// How long what was stored is held in case the store forgets it, as Redis may at a failover; zero for a store that does not forget.
    public var retention: Duration = .zero
    /// How long a conversation that nobody hears stays in memory.
    public var idleTimeout: Duration = .seconds(60)

    public init() {}
}
