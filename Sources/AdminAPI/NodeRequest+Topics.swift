internal import Bytes
internal import ChatModel
internal import ClusterWire
internal import JSON

/// The requests that `ClusterAdmin.localAnswers` answers.
extension NodeRequest {
    /// The node's row in `confab nodes`.
    static let nodeRow = NodeRequest("node")
    /// The shards that the node owns.
    static let shards = NodeRequest("shards")
    /// The node's row in `confab redis`.
    static let redisRow = NodeRequest("redis")

    /// How far the owner has stored a conversation.
    static func storedPosition(_ key: ConversationKey) -> NodeRequest {
        NodeRequest(
            "stored",
            [
                .init("conversation", .string(key.id.string)),
                .init("tenant", .string(key.tenant.string)),
            ])
    }
}
