import ChatModel

/// A set of shards, with one bit per shard.
public struct ShardSet: Sendable, Equatable {
    /// The lowest bit of the first word is shard 0.
    private var words: [UInt64]

    /// An empty set.
    public init() {
        self.words = [UInt64](repeating: 0, count: Shard.count / 64)
    }

    public var isEmpty: Bool { self.words.allSatisfy { $0 == 0 } }

    public func contains(_ shard: Int) -> Bool {
        self.words[shard / 64] & 1 << UInt64(shard % 64) != 0
    }

    public mutating func insert(_ shard: Int) {
        self.words[shard / 64] |= 1 << UInt64(shard % 64)
    }
}
