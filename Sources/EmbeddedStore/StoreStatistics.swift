public import Telemetry

/// What a store has done since it was opened.
public struct StoreStatistics: Sendable {
    /// Requests that wait for the writer, and for the readers.
    public var queuedWrites = 0
    public var queuedReads = 0
    /// Estimated bytes of what waits for the writer.
    public var queuedBytes = 0
    /// Requests that failed at once because a queue was full.
    public var rejectedRequests = 0
    /// Transactions that were committed, and the writes in them.
    public var commits = 0
    public var writes = 0
    /// Transactions that were rolled back for a fault of the disk or the file.
    public var failedCommits = 0
    public var writesPerCommit = Histogram()
    /// From the begin of a transaction until it was safe, in nanoseconds.
    public var commitTimes = Histogram()

    public init() {}
}
