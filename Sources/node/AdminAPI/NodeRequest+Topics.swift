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

    /// The facts that `confab doctor` checks.
    static let facts = NodeRequest("facts")
    /// The node's files in a support archive.
    static let supportFiles = NodeRequest("support")

    /// How far the owner has stored a conversation.
    static func storedPosition(_ key: ConversationKey) -> NodeRequest {
        NodeRequest("stored", self.names(of: key))
    }

    /// Lets the owner claim the shard of a conversation, unless it has; the reply is the epoch.
    static func claim(_ key: ConversationKey) -> NodeRequest {
        NodeRequest("claim", self.names(of: key))
    }

    /// Lets the owner repair a conversation.
    static func repair(_ key: ConversationKey) -> NodeRequest {
        NodeRequest("repair", self.names(of: key))
    }

    private static func names(of key: ConversationKey) -> [JSONTree.ObjectMember] {
        [
            .init("conversation", .string(key.id.string)),
            .init("tenant", .string(key.tenant.string)),
        ]
    }
}
