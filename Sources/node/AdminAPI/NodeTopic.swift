internal import Bytes
internal import ChatModel
internal import Gateway
internal import JSON

/// A request between nodes for operators. Each topic is declared once, by the group of verbs that
/// asks and answers it.
struct NodeTopic: Hashable, Sendable {
    /// The topic of `NodeRequest`.
    let name: String
    /// It changes nothing, so a node also answers it at its admin address, when Redis carries no
    /// messages. A recorded request could be replayed there.
    let isReading: Bool

    init(_ name: String, isReading: Bool = false) {
        self.name = name
        self.isReading = isReading
    }
}

/// Answers a request about this node alone; nil for arguments that this version does not know.
typealias NodeTopicAnswer = @Sendable (Gateway, _ arguments: JSONTree) async -> JSONTree?

extension ConversationKey {
    /// Nil if another node's request is malformed.
    init?(_ arguments: JSONTree) {
        guard let id = arguments["conversation"]?.stringValue,
            let tenant = arguments["tenant"]?.stringValue
        else { return nil }
        self.init(tenant: ByteString(tenant), id: ByteString(id))
    }

    /// The conversation in requests between nodes, and in documents.
    var arguments: [JSONTree.ObjectMember] {
        [
            .init("conversation", .string(self.id.string)),
            .init("tenant", .string(self.tenant.string)),
        ]
    }
}
