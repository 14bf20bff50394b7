internal import Bytes
internal import ChatModel
internal import JSON
internal import NodeLink

/// The documents about messages and events.
extension RedisAdminSource {
    private static let pageSize = 500

    func history(_ values: [JSONTree.ObjectMember]) throws(AdminProblem) -> JSONTree {
        let key = Self.conversation(values)
        let after = values.first { $0.name == "after" }?.value.integerValue
        let last = values.first { $0.name == "last" }?.value.integerValue
        let (page, unreadable) = try self.messages(
            of: key, after: after, limit: last ?? (after == nil ? 20 : 1000))
        guard unreadable.isEmpty else {
            throw .rejected(
                status: 409,
                "--via: message \(unreadable[0]) of \(key.id) is not what was stored")
        }
        return Self.document([
            .init("conversation", .string(key.id.string)),
            .init("tenant", .string(key.tenant.string)), .init("head", .integer(page.head)),
            .init("oldest", .integer(page.oldest)),
            .init("messages", .array(page.messages.map(\.tree))),
        ])
    }

    /// Reads everything retained. The owner's view of it is unknown.
    func verify(_ values: [JSONTree.ObjectMember]) throws(AdminProblem) -> JSONTree {
        let key = Self.conversation(values)
        var check = StreamCheck()
        var after = 0
        var hasBegun = false
        while true {
            let (page, unreadable) = try self.messages(
                of: key, after: after, limit: Self.pageSize)
            if !hasBegun {
                hasBegun = true
                check.begin(oldest: page.oldest)
            }
            for number in unreadable {
                check.skip(number, "message \(number) is not what was stored")
            }
            check.check(page)
            let end = max(page.messages.last?.sequence ?? 0, unreadable.last ?? 0)
            guard end > after, end < page.head else { break }
            after = end
        }
        check.finish()
        return Self.document([
            .init("conversation", .string(key.id.string)),
            .init("tenant", .string(key.tenant.string)),
            .init("complete", .bool(check.faults.isEmpty)),
            .init("messages", .integer(check.count)), .init("oldest", .integer(check.oldest)),
            .init("head", .integer(check.last)), .init("revision", .integer(check.revision)),
            .init("owner", .null), .init("owner_head", .null), .init("repairable", .null),
            .init("faults", .array(check.faults.map { .string($0) })),
        ])
    }

    func events(_ values: [JSONTree.ObjectMember]) throws(AdminProblem) -> JSONTree {
        if let other = values.first(where: { !["last", "after"].contains($0.name) }) {
            throw .rejected(status: 400, "--via: events cannot be selected by \(other.name)")
        }
        let after = values.first { $0.name == "after" }?.value.stringValue
        let limit = values.first { $0.name == "last" }?.value.integerValue ?? 20
        let events = try self.read { reader throws(ClusterReader.ClusterReadError) in
            try reader.events(after: after, limit: limit)
        }
        let rows = events.map { event in
            event.row(node: event["name"].flatMap { $0.isEmpty ? nil : $0 } ?? event["node"])
        }
        return Self.document([.init("events", .array(rows))])
    }

    private func messages(of key: ConversationKey, after: Int?, limit: Int)
        throws(AdminProblem) -> (page: MessagePage, unreadable: [Int])
    {
        let found = try self.read { reader throws(ClusterReader.ClusterReadError) in
            try reader.messages(of: key, after: after, limit: limit)
        }
        guard let found else {
            throw .rejected(
                status: 404, "There is no conversation \(key.id) in tenant \(key.tenant).")
        }
        return found
    }
}
