public import ChatModel

/// The settings of a SQLite store. The defaults suit a node without a cluster.
public struct SQLiteOptions: Sendable {
    /// The number of messages retained per conversation; 0 retains all.
    public var history: Int
    /// The limits of the writer's queue; above either limit, a request fails at once.
    public var queuedRequestLimit = 65_536
    public var queuedByteLimit = 64 << 20
    /// The number of conversations that the writer keeps in memory.
    public var cachedConversationLimit = 131_072
    /// The maximum number of writes in one transaction; later writes wait for the next one.
    public var commitWriteLimit = 8192
    /// The minimum time between the starts of two commits, so that separate messages share a
    /// commit. Each commit costs an `fdatasync` and two thread wake-ups, regardless of its size.
    /// After a commit that took longer, the next one starts at once.
    public var commitInterval = Duration.milliseconds(1)
    /// The page cache of each connection, in KiB.
    public var cacheKiB = 16_384
    /// Files up to this size are checked completely when they are opened.
    public var integrityCheckByteLimit = 64 << 20
    /// The number of messages that collect before the search index gets them.
    public var searchBacklogLimit = 256
    /// The search index is filled after the writer had no request for this long.
    public var searchIdleTime = Duration.milliseconds(5)
    /// If the writer is never idle, the search index is filled by one batch in this time.
    public var searchInterval = Duration.milliseconds(250)
    /// Runs before each slice of a search, for tests.
    var beforeSearchSlice: (@Sendable () -> Void)?
    /// Fills the outbox; nil to fill none.
    public var outbox: OutboxWriter?
    /// The most dead letters of an outbox that is not filled any more.
    static let deadLetterLimit = 100_000
    /// The number of messages that collect before their index entries are written (see
    /// `UnindexedMessages`).
    var generationSize = UnindexedMessages.generationSize

    public init(history: Int) {
        precondition(history >= 0, "history \(history) is below 0")
        self.history = history
    }

    /// The number of expired messages that are deleted together.
    var trimStep: Int { max(64, min(256, self.history / 4)) }

    /// The oldest message that clients can read. The file can hold older ones, because trimming is
    /// batched.
    func oldest(retainedFrom: Int, head: Int) -> Int {
        self.history == 0 ? retainedFrom : max(retainedFrom, head - self.history + 1)
    }
}
