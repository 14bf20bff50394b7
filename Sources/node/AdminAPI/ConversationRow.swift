internal import Bytes
internal import ChatCore
internal import ChatEngine
internal import ChatModel
internal import Configuration
internal import JSON
internal import NodeLink

/// A conversation as a row of `confab conversations`.
struct ConversationRow {
    static let columns = [
        "id", "tenant", "kind", "owner", "members", "present", "head", "msg_s", "fan_out_s",
        "kept", "updated",
    ]

    let key: ConversationKey
    let summary: ConversationSummary
    /// The owner's name.
    let owner: String

    /// The value of one column. Rates are means of the last ten seconds.
    func value(_ column: String) -> JSONTree {
        switch column {
        case "id": .string(self.key.id.string)
        case "tenant": .string(self.key.tenant.string)
        case "kind": .string(self.summary.record.origin.string)
        case "owner": .string(self.owner)
        case "members": .integer(self.summary.memberCount)
        case "present": .integer(self.summary.presentCount)
        case "head": .integer(self.summary.head)
        case "msg_s": .number(OperatorText.decimal(self.summary.messagesPerSecond))
        case "fan_out_s":
            .number(
                OperatorText.decimal(
                    self.summary.messagesPerSecond * Double(self.summary.presentCount)))
        case "kept": .integer(self.summary.retainedCount)
        case "updated": .string(self.summary.updatedAt.text)
        default: preconditionFailure("conversations have no column \(column)")
        }
    }

    var row: JSONTree { .object(Self.columns.map { .init($0, self.value($0)) }) }

    /// The id by which rows with equal values are ordered.
    var rankingID: String { Self.rankingID(of: self.key) }

    static func rankingID(of key: ConversationKey) -> String { "\(key.tenant) \(key.id)" }
}

extension ConversationInspection {
    /// The members of the owner's reply.
    ///
    /// - Parameter names: the name of a node of this incarnation.
    func members(naming name: (UInt64) -> String) -> [JSONTree.ObjectMember] {
        [
            .init("record", self.summary.record.tree),
            .init("updated", .string(self.summary.updatedAt.text)),
            .init("head", .integer(self.summary.head)), .init("oldest", .integer(self.oldest)),
            .init("revision", .integer(self.revision)),
            .init("unstored", .integer(self.unstoredChanges)),
            .init("pinned_count", .integer(self.pinnedCount)),
            .init("member_count", .integer(self.summary.memberCount)),
            .init("present", .integer(self.summary.presentCount)),
            .init("msg_s", .number(OperatorText.decimal(self.summary.messagesPerSecond))),
            .init(
                "members",
                .array(
                    self.members.map { entry in
                        let nodes = Set(entry.loops.map { name($0.incarnation) })
                        return entry.member.tree(nodes: nodes.sorted())
                    })),
        ]
    }
}
