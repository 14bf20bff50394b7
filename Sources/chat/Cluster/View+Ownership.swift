import ChatModel

/// Ownership as operators see it.
extension View {
    /// Whether the shard still follows the old list and has another owner in the new one.
    public func isMoving(_ shard: Int) -> Bool {
        self.oldList != self.newList && !self.moved.contains(shard)
            && self.nextOwner(of: shard).incarnation != self.owner(of: shard).incarnation
    }

    /// The state as operators see it.
    public func state(of shard: Int) -> String { self.isMoving(shard) ? "moving" : "stable" }

    /// The number of shards per node; nodes without shards are missing.
    public var shardCounts: [UInt64: Int] {
        (0..<Shard.count).reduce(into: [:]) { counts, shard in
            counts[self.owner(of: shard).incarnation, default: 0] += 1
        }
    }

    /// A number of shards that change from one node to another.
    public struct Move: Sendable, Equatable {
        public let from: UInt64
        public let to: UInt64
        public let shards: Int
    }

    /// The shards that have other owners than in an earlier view, per pair of nodes.
    public func moves(since earlier: View) -> [Move] {
        Self.moves {
            (earlier.owner(of: $0).incarnation, self.owner(of: $0).incarnation)
        }
    }

    /// The shards that a rebalance moved, if its last step is done and the next view ends it;
    /// otherwise none.
    var completedMoves: [Move] {
        guard self.oldList != self.newList, self.shardsToMove.isEmpty else { return [] }
        let old = RendezvousRanking(self.nodes, self.oldList)
        return Self.moves {
            (old.owner(of: $0).incarnation, self.owner(of: $0).incarnation)
        }
    }

    private static func moves(_ owners: (Int) -> (from: UInt64, to: UInt64)) -> [Move] {
        var counts: [[UInt64]: Int] = [:]
        for shard in 0..<Shard.count {
            let (from, to) = owners(shard)
            if from != to { counts[[from, to], default: 0] += 1 }
        }
        return counts.map { Move(from: $0.key[0], to: $0.key[1], shards: $0.value) }
            .sorted { ($0.from, $0.to) < ($1.from, $1.to) }
    }

    /// Why a shard has its owner, in a sentence.
    ///
    /// - Parameter name: returns a node's name for operators.
    public func reason(for shard: Int, naming name: (UInt64) -> String) -> String {
        let owner = name(self.owner(of: shard).incarnation)
        if self.isMoving(shard) {
            let next = name(self.nextOwner(of: shard).incarnation)
            return "\(owner) owned shard \(shard) before the current move to \(next)"
        }
        if self.moved.contains(shard) {
            return "\(owner) ranks highest of the \(self.newList.count) remaining nodes, "
                + "and the shard has moved already"
        }
        let count = self.oldList.count
        return count == 1
            ? "\(owner) is the only node"
            : "\(owner) ranks highest of \(count) nodes for shard \(shard)"
    }
}
