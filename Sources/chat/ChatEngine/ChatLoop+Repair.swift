public import ChatCore
public import ChatModel
internal import Cluster

/// Repairs of the stored state, which only its owner may execute.
extension ChatLoop {
    /// This loop's claim of a conversation's shard. If there is none, the loop claims the shard,
    /// and a later call returns the claim. Nil also if another loop owns the conversation.
    public mutating func claim(of key: ConversationKey) -> (owner: LoopID, epoch: Epoch)? {
        guard self.view.owner(of: key) == self.id else { return nil }
        return self.owner.claim(Shard.of(key), output: &self.output).map { (self.id, $0) }
    }

    /// Discards what this loop knows of a conversation's stored state, because it was repaired. The
    /// next request loads it again.
    public mutating func reload(_ key: ConversationKey, at now: ClockReading) {
        guard let number = self.owner.slot(of: key) else { return }
        self.owner.abandon(number, at: now, output: &self.output)
    }
}

extension ShardOwner {
    /// - Returns: the epoch; nil while the shard is being claimed.
    fileprivate mutating func claim(_ shard: Int, output: inout LoopOutput) -> Epoch? {
        switch self.shards[shard] {
        case .held(let epoch): return epoch
        case .claiming: return nil
        case nil:
            self.shards[shard] = .claiming([])
            self.pendingRequests[
                output.submit(.claim(shard: shard, owner: self.id, view: self.view.number))] =
                .claim(shard: shard)
            return nil
        }
    }
}
