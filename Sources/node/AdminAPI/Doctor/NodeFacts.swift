internal import JSON

/// The facts about one node that the checks of `confab doctor` examine, as the node reports them.
///
/// It wraps the document instead of decoding it: a node of another version may report fewer facts,
/// and then the checks that need them do not apply.
struct NodeFacts: Sendable {
    let name: String
    let incarnation: UInt64
    /// Nil if the node does not answer.
    let document: JSONTree?

    /// The value at a path of names; nil if there is none, or if it is null.
    subscript(path: String...) -> JSONTree? {
        var value = self.document
        for name in path { value = value?[name] }
        return value?.isNull == true ? nil : value
    }

    var isAnswering: Bool { self.document != nil }

    /// The Redis servers as the node sees them.
    var redisServers: [RedisServerFacts] {
        (self["redis", "servers"]?.elements ?? []).map(RedisServerFacts.init)
    }
}

/// The facts about one Redis server.
struct RedisServerFacts: Sendable {
    let document: JSONTree

    var endpoint: String { self.document["endpoint"]?.stringValue ?? "?" }

    /// A value of INFO; nil if Redis does not report it.
    func info(_ name: String) -> String? { self.document["info"]?[name]?.stringValue }

    func number(_ name: String) -> Int? { self.info(name).flatMap { Int($0) } }

    /// Nil if the node may not read the settings.
    var settings: [String: String]? {
        self.document["settings"]?.members.map { members in
            Dictionary(members.map { ($0.name, $0.value.stringValue ?? "") }) { $1 }
        }
    }
}
