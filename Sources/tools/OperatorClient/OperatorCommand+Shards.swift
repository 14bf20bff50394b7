import Configuration
import JSON

/// `confab shards`: one row for each node, or for each shard with `--all`.
extension OperatorCommand {
    func shards() throws(AdminProblem) -> Int32 {
        guard case .table(let key, let columns, _, _) = self.options.verb.display else {
            preconditionFailure("the shards are no table")
        }
        let isAll = self.options["all"]?.boolValue == true
        return try self.showTable(
            "shards", isAll ? key : "nodes", isAll ? columns : OperatorVerb.shardNodeColumns,
            hasTotals: true, isLarge: false,
            parameters: self.options.parameters.filter { $0.name != "all" },
            complete: { ShardsByNode.adding(to: $0) })
    }
}

/// The shards of each node, from the rows of the shards.
///
/// The command adds them up itself, so that they are the same whether a node or Redis has answered.
enum ShardsByNode {
    /// Adds the rows of the nodes to the document, before those of the shards.
    static func adding(to document: JSONTree) -> JSONTree {
        var members = document.members ?? []
        let place = members.firstIndex { $0.name == "shards" } ?? members.endIndex
        members.insert(.init("nodes", .array(self.rows(document["shards"]))), at: place)
        return .object(members)
    }

    private struct NodeShards {
        var numbers: [Int] = []
        var claimed = 0
        var moving = 0
        /// Nil if the node did not answer.
        var conversations: Int? = 0
        var messages: Double? = 0
    }

    /// In the order of the nodes' names.
    private static func rows(_ shards: JSONTree?) -> [JSONTree] {
        var nodes: [String: NodeShards] = [:]
        for row in shards?.elements ?? [] {
            guard let owner = row["owner"]?.stringValue, let number = row["shard"]?.integerValue
            else { continue }
            var node = nodes[owner] ?? NodeShards()
            node.numbers.append(number)
            if row["epoch"]?.integerValue != nil { node.claimed += 1 }
            if row["state"]?.stringValue == "moving" { node.moving += 1 }
            node.conversations = self.sum(node.conversations, row["conversations"]?.integerValue)
            node.messages = self.sum(node.messages, row["msg_s"]?.doubleValue)
            nodes[owner] = node
        }
        return nodes.sorted { $0.key < $1.key }.map { name, node in
            [
                "node": .string(name), "shards": .integer(node.numbers.count),
                "claimed": .integer(node.claimed), "moving": .integer(node.moving),
                "conversations": node.conversations.map { .integer($0) } ?? .null,
                "msg_s": node.messages.map { .number(OperatorText.decimal($0)) } ?? .null,
                "ranges": .array(self.ranges(of: node.numbers).map { .string($0) }),
            ]
        }
    }

    /// Nil if one of them is unknown.
    private static func sum<Number: Numeric>(_ one: Number?, _ other: Number?) -> Number? {
        one.flatMap { one in other.map { one + $0 } }
    }

    /// Ascending numbers as `0-99`, `101`.
    static func ranges(of numbers: [Int]) -> [String] {
        var ranges: [ClosedRange<Int>] = []
        for number in numbers.sorted() {
            if let last = ranges.last, last.upperBound + 1 == number {
                ranges[ranges.count - 1] = last.lowerBound...number
            } else {
                ranges.append(number...number)
            }
        }
        return ranges.map {
            $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)"
        }
    }
}
