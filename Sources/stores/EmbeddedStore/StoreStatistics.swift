public import Telemetry

/// The counters of a store since it was opened.
public struct StoreStatistics: Sendable {
    /// Requests queued for the writer, and for the readers.
    public var queuedWrites = 0
    public var queuedReads = 0
    /// Estimated size of the requests queued for the writer.
    public var queuedBytes = 0
    /// Requests that failed at once because a queue was full.
    public var rejectedRequests = 0
    /// Committed transactions, and the writes in them.
    public var commits = 0
    public var writes = 0
    /// Transactions rolled back because of a disk or file error.
    public var failedCommits = 0
    public var writesPerCommit = Histogram()
    /// The time from the start of a transaction until it was durable, in nanoseconds.
    public var commitTimes = Histogram()

    public init() {}
}
