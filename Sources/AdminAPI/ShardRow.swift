internal import Bytes
internal import ChatModel
internal import Cluster
internal import Gateway
internal import JSON

/// What a node answers of one of its shards, as an array: there are thousands of them. Nodes of other versions may say more.
struct ShardRow: Equatable {
    let shard: Int
    /// Nil where it is not claimed.
    let epoch: Int?
    let conversations: Int
    /// When it was claimed.
    var since: Timestamp?
    /// A second.
    var messages = "0"

    init(_ report: ShardReport) {
        self.shard = report.holding.shard
        self.epoch = report.holding.epoch
        self.conversations = report.holding.conversationCount
        self.since = report.claimedAt
        self.messages = ClusterAdmin.decimal(report.messagesPerSecond)
    }

    /// Nil where it is none.
    init?(_ tree: JSONTree) {
        guard let parts = tree.elements, parts.count >= 5, let shard = parts[0].integerValue,
            (0..<Shard.count).contains(shard),
            parts[1].integerValue != nil || parts[1] == .null,
            let conversations = parts[2].integerValue,
            let messages = parts[4].doubleValue
        else { return nil }
        self.shard = shard
        self.epoch = parts[1].integerValue
        self.conversations = conversations
        self.since = parts[3].integerValue.map { Timestamp(milliseconds: Int64($0)) }
        self.messages = ClusterAdmin.decimal(messages)
    }

    var tree: JSONTree {
        [
            .integer(self.shard), self.epoch.map { .integer($0) } ?? .null,
            .integer(self.conversations),
            self.since.map { .integer($0.milliseconds) } ?? .null, .number(self.messages),
        ]
    }
}
