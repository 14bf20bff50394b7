internal import Bytes
internal import ChatEngine
internal import ChatModel
internal import Configuration
internal import Gateway
internal import JSON

/// One shard in a node's reply, encoded as an array because there are thousands. Nodes of other
/// versions may add elements.
struct ShardRow: Equatable {
    let shard: Int
    /// Nil when the shard is not claimed.
    let epoch: Int?
    let conversations: Int
    /// When the shard was claimed.
    var since: Timestamp?
    /// Per second.
    var messages = "0"

    init(_ report: ShardReport) {
        self.shard = report.holding.shard
        self.epoch = report.holding.epoch
        self.conversations = report.holding.conversationCount
        self.since = report.claimedAt
        self.messages = OperatorText.decimal(report.messagesPerSecond)
    }

    /// Returns nil when the array is malformed.
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
        self.messages = OperatorText.decimal(messages)
    }

    var tree: JSONTree {
        [
            .integer(self.shard), self.epoch.map { .integer($0) } ?? .null,
            .integer(self.conversations),
            self.since.map { .integer($0.milliseconds) } ?? .null, .number(self.messages),
        ]
    }
}
