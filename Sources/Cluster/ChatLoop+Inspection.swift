internal import ChatCore
public import ChatModel

/// What operators want to know of a loop.
extension ChatLoop {
    /// A shard of which this loop has something.
    public struct OwnedShard: Sendable, Equatable {
        public let shard: Int
        /// Nil where it is not claimed, or no longer certain to be this loop's: whoever needs it next claims it again.
        public let epoch: Epoch?
        /// Conversations of it that are in memory.
        public let conversationCount: Int
    }

    /// The shards that this loop has claimed or of which conversations are in memory: those that somebody needed. In order; looks at every
    /// conversation.
    public var ownedShards: [OwnedShard] {
        var counts: [Int: Int] = [:]
        for slot in self.owner.slots where slot.isUsed { counts[Int(slot.shard), default: 0] += 1 }
        return Set(self.owner.shards.keys).union(counts.keys).sorted().map { shard in
            var claimed: Epoch?
            if case .held(let epoch)? = self.owner.shards[shard] { claimed = epoch }
            return OwnedShard(
                shard: shard, epoch: claimed, conversationCount: counts[shard, default: 0])
        }
    }

    /// What the owner takes for stored of a conversation: its newest message and its last change. Nil where it is not in memory here, or
    /// has not been read from the store yet.
    public func storedPosition(of key: ConversationKey) -> (
        head: SequenceNumber, revision: Revision
    )? {
        guard let number = self.owner.slot(of: key) else { return nil }
        let conversation = self.owner.slots[Int(number)].conversation
        return conversation.storedRevision > 0
            ? (conversation.storedHead, conversation.storedRevision) : nil
    }
}
