public import JSON

/// A node's report about itself beyond its loops: its settings, files and logs.
public struct NodeInspection: Sendable {
    /// The members `settings`, `database` and `connection_limit` of the node's facts.
    public let facts: @Sendable () async -> [JSONTree.ObjectMember]
    /// The files of this node in a support archive, by name. They contain no secrets.
    public let supportFiles: @Sendable () async -> [(name: String, text: String)]

    public init(
        facts: @escaping @Sendable () async -> [JSONTree.ObjectMember],
        supportFiles: @escaping @Sendable () async -> [(name: String, text: String)]
    ) {
        self.facts = facts
        self.supportFiles = supportFiles
    }
}
