/// How a SQLite store is set up. The defaults are for a node that serves alone.
public struct SQLiteOptions: Sendable {
    /// Messages kept of each conversation; 0 keeps all.
    public var history: Int
    /// What may wait for the writer; beyond either bound a request fails at once.
    public var queuedRequestLimit = 65_536
    public var queuedByteLimit = 64 << 20
    /// How many conversations the writer knows without asking the file.
    public var cachedConversationLimit = 131_072
    /// The most writes in one transaction: what came later waits for the next.
    public var commitWriteLimit = 8192
    /// No commit begins sooner than this after the one before it, so that messages that come one by one share one, too: each costs an
    /// `fdatasync` and two wake-ups, whatever is in it. One that took longer is followed at once by the next.
    public var commitInterval = Duration.milliseconds(1)
    /// How much of the file each connection keeps in memory, in KiB.
    public var cacheKiB = 16_384
    /// Files up to this size are checked from end to end when they are opened.
    public var integrityCheckByteLimit = 64 << 20
    /// How many messages gather before their places are written (see `UnindexedMessages`).
    var generationSize = UnindexedMessages.generationSize

    public init(history: Int) {
        precondition(history >= 0, "history \(history) is below 0")
        self.history = history
    }

    /// How many messages become invisible before they are taken out of the file together.
    var trimStep: Int { max(64, min(256, self.history / 4)) }

    /// The oldest message that is shown: of those in the file never more than the history has.
    func oldest(retainedFrom keptFrom: Int, head: Int) -> Int {
        self.history == 0 ? keptFrom : max(keptFrom, head - self.history + 1)
    }
}
