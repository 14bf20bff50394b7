internal import Bytes
internal import ChatCore
internal import ChatEngine
internal import ChatModel
internal import Configuration
internal import JSON

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

extension ConversationRecord {
    /// The stored properties. The title is the creator's, and not a message.
    var tree: JSONTree {
        [
            "kind": .string(self.origin.string),
            "join_policy": .string(self.joinPolicy == .open ? "open" : "closed"),
            "listed": .bool(self.isListed), "title": .string(self.title),
            "creator": self.creator.map { .string($0.displayID.string) } ?? .null,
            "created": .string(self.createdAt.text),
            "ended": self.endedAt.map { .string($0.text) } ?? .null,
        ]
    }
}

extension Member {
    /// - Parameter nodes: the nodes on which the member is present; nil if unknown.
    func tree(nodes: [String]?) -> JSONTree {
        [
            "user": .string(self.user.displayID.string), "name": .string(self.name.string),
            "agent": self.agent.map { .string($0.string) } ?? .null,
            "role": .string(self.role.text), "joined": .string(self.joinedAt.text),
            "read_cursor": .integer(self.readCursor),
            "delivered_cursor": .integer(self.deliveredCursor),
            "nodes": nodes.map { .array($0.map { .string($0) }) } ?? .null,
        ]
    }
}

extension Member.Role {
    var text: String {
        switch self {
        case .member: "member"
        case .creator: "creator"
        case .admin: "admin"
        }
    }
}
