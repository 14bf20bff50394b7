import Bytes

/// Conversations are owned in shards (hash slots) and not one by one: 4,096 owners can be listed,
/// moved and fenced.
public enum Shard {
    public static let count = 4096

    /// The shard of a conversation: the same on every node and in every version.
    public static func of(_ conversation: ConversationKey) -> Int {
        Int(
            truncatingIfNeeded: StableHash.of(conversation.tenant, conversation.id)
                & UInt64(Self.count - 1))
    }
}
