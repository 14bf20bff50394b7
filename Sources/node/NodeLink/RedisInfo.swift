public import JSON

/// Redis' `INFO`: lines of `name:value` under headings.
public struct RedisInfo: Sendable {
    /// The names that operators see, and Redis' own.
    private static let texts = [
        ("version", "redis_version"), ("role", "role"), ("eviction", "maxmemory_policy"),
    ]
    private static let numbers = [
        ("replicas", "connected_slaves"), ("memory", "used_memory"), ("memory_limit", "maxmemory"),
        ("clients", "connected_clients"),
        ("uptime", "uptime_in_seconds"),
    ]

    private var facts: [String: String] = [:]

    public init(_ text: String) {
        for line in text.split(whereSeparator: { $0.isNewline }) where !line.hasPrefix("#") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            self.facts[String(line[..<colon])] = String(line[line.index(after: colon)...])
        }
    }

    public subscript(name: String) -> String? { self.facts[name] }

    /// The values that operators see.
    public var row: [JSONTree.ObjectMember] {
        var row = Self.texts.map {
            JSONTree.ObjectMember($0, self[$1].map { .string($0) } ?? .null)
        }
        row += Self.numbers.map { JSONTree.ObjectMember($0, self.number($1, named: $0)) }
        row.append(.init("append_only", self["aof_enabled"].map { .bool($0 == "1") } ?? .null))
        return row
    }

    /// A limit of 0 means no limit, so it is null.
    private func number(_ key: String, named name: String) -> JSONTree {
        guard let number = self[key].flatMap({ Int($0) }), name != "memory_limit" || number > 0
        else { return .null }
        return .integer(number)
    }
}
