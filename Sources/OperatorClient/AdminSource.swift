internal import Bytes
internal import ChatModel
internal import JSON

/// A source of cluster documents: a node or, when no node answers, Redis.
protocol AdminSource {
    func nodes() throws(AdminProblem) -> JSONTree
    func shards(of node: String?) throws(AdminProblem) -> JSONTree
    func owner(of key: ConversationKey) throws(AdminProblem) -> JSONTree
    func redis() throws(AdminProblem) -> JSONTree
}

extension AdminConnection: AdminSource {
    func nodes() throws(AdminProblem) -> JSONTree { try self.get("nodes") }

    func shards(of node: String?) throws(AdminProblem) -> JSONTree {
        try self.get("shards" + (node.map { "?node=\(AdminPath.encode($0))" } ?? ""))
    }

    func owner(of key: ConversationKey) throws(AdminProblem) -> JSONTree {
        try self.get("owner" + AdminPath.query(key))
    }

    func redis() throws(AdminProblem) -> JSONTree { try self.get("redis") }
}

/// Builds parts of a query.
enum AdminPath {
    static func encode(_ text: String) -> String { PercentEncoding.encode(text) }

    static func query(_ key: ConversationKey) -> String {
        "?conversation=\(self.encode(key.id.string))&tenant=\(self.encode(key.tenant.string))"
    }
}
