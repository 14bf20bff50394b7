/// Some of the shards: a bit for each.
public struct ShardSet: Sendable, Equatable {
    /// The lowest bit of the first word is shard 0.
    public private(set) var words: [UInt64]

    /// No shard.
    public init() {
        self.words = [UInt64](repeating: 0, count: Shard.count / 64)
    }

    /// From the words of another; nil where there are too many or too few.
    public init?(words: [UInt64]) {
        guard words.count == Shard.count / 64 else { return nil }
        self.words = words
    }

    public var isEmpty: Bool { self.words.allSatisfy { $0 == 0 } }
    public var count: Int { self.words.reduce(0) { $0 + $1.nonzeroBitCount } }

    public func contains(_ shard: Int) -> Bool {
        self.words[shard / 64] & 1 << UInt64(shard % 64) != 0
    }

    public mutating func insert(_ shard: Int) {
        self.words[shard / 64] |= 1 << UInt64(shard % 64)
    }
}
