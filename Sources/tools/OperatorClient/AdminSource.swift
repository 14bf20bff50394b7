internal import Configuration
internal import JSON

/// A source of cluster documents: a node or, when no node answers, Redis.
protocol AdminSource {
    /// - Parameters:
    ///   - path: of the verb, below `/api/cluster/`.
    ///   - values: the parameters.
    func get(_ path: String, _ values: [JSONTree.ObjectMember]) throws(AdminProblem) -> JSONTree
}

extension AdminClient: AdminSource {}
