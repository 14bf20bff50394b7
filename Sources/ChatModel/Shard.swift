import Bytes

/// Conversations are owned by hash slots, not one by one: that many owners can be named, moved and fenced.
public enum Shard {
    public static let count = 4096

    /// The shard of a conversation: the same on every node, in every version.
    public static func of(_ conversation: ConversationKey) -> Int {
        Int(
            truncatingIfNeeded: StableHash.of(conversation.tenant, conversation.id)
                & UInt64(Self.count - 1))
    }
}
