internal import Bytes
internal import ChatCore
public import ChatModel

/// State of a loop that operators can inspect.
extension ChatLoop {
    /// A shard that this loop has claimed, or that has conversations in the loop's memory.
    public struct OwnedShard: Sendable, Equatable {
        public let shard: Int
        /// Nil if the shard is not claimed, or if the claim has become uncertain. The next request
        /// for one of its conversations claims it again.
        public let epoch: Epoch?
        /// Conversations of the shard that are in memory.
        public let conversationCount: Int
    }

    /// The shards that this loop has claimed, and those with conversations in memory, in ascending
    /// order. Visits every conversation.
    public var ownedShards: [OwnedShard] {
        var counts: [Int: Int] = [:]
        for number in self.owner.slots.occupiedSlots {
            counts[Int(self.owner.slots[number].shard), default: 0] += 1
        }
        return Set(self.owner.shards.keys).union(counts.keys).sorted().map { shard in
            var claimed: Epoch?
            if case .held(let epoch)? = self.owner.shards[shard] { claimed = epoch }
            return OwnedShard(
                shard: shard, epoch: claimed, conversationCount: counts[shard, default: 0])
        }
    }

    /// The newest message and the newest revision of a conversation that the owner knows to be
    /// stored. Nil if the conversation is not in memory here, or has not been read from the store
    /// yet.
    public func storedPosition(of key: ConversationKey) -> (
        head: SequenceNumber, revision: Revision
    )? {
        guard let number = self.owner.slot(of: key) else { return nil }
        let conversation = self.owner.slots[number].conversation
        return conversation.storedRevision > 0
            ? (conversation.storedHead, conversation.storedRevision) : nil
    }
}
