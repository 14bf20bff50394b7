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
