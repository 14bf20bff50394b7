/// What a store has done since it was opened.
public struct StoreStatistics: Sendable {
    /// Requests that wait for the writer, and for the readers.
    public var queuedWrites = 0
    public var queuedReads = 0
    /// Estimated bytes of what waits for the writer.
    public var queuedBytes = 0
    /// Requests that failed at once because a queue was full.
    public var turnedAway = 0
    /// Transactions that were committed, and the writes in them.
    public var commits = 0
    public var writes = 0
    /// Transactions that were rolled back for a fault of the disk or the file.
    public var failedCommits = 0
    /// How many commits had 1, 2–3, 4–7 … writes.
    public var writesPerCommit = PowerHistogram()
    /// How many transactions took 1, 2–3, 4–7 … microseconds from their begin until they were safe.
    public var commitMicroseconds = PowerHistogram()

    public init() {}
}

/// Counts values by their power of two; the last bucket has all that are larger.
public struct PowerHistogram: Sendable, Equatable {
    /// `counts[n]` values were at least 2ⁿ and below 2ⁿ⁺¹; 0 counts as 1.
    public private(set) var counts = [Int](repeating: 0, count: 32)
    public private(set) var sum = 0

    public mutating func note(_ value: Int) {
        let power = Int.bitWidth - 1 - max(value, 1).leadingZeroBitCount
        self.counts[min(power, self.counts.count - 1)] += 1
        self.sum += max(value, 0)
    }
}
