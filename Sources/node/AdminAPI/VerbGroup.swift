internal import JSON

/// Verbs that belong together: the handlers of their paths, and what nodes ask each other for them.
protocol VerbGroup: Sendable {
    /// By the paths under `/api/cluster/`.
    var handlers: [String: AdminHandler] { get }
    /// The answers to other nodes' requests.
    var answers: [NodeTopic: NodeTopicAnswer] { get }
}

extension VerbGroup {
    var handlers: [String: AdminHandler] { [:] }
    var answers: [NodeTopic: NodeTopicAnswer] { [:] }

    static var localTimeout: Duration { AdminContext.localTimeout }
}

extension JSONTree {
    /// An answer of the admin API.
    static func document(_ members: [ObjectMember]) -> JSONTree {
        .object([.init("schema_version", 1)] + members)
    }

    /// An answer whose first member is a sentence for the operator.
    static func summary(_ text: String, _ members: [ObjectMember] = []) -> JSONTree {
        .document([.init("summary", .string(text))] + members)
    }
}
