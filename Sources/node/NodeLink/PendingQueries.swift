/// Queries that end with their answer or with their timeout, whichever is first.
///
/// Redis may stop replying without closing the connection, so that a command alone could block its
/// caller for long.
struct PendingQueries<Answer> {
    typealias Reply = @Sendable (Answer) -> Void

    static var timeout: Int64 { 2000 }
    static var queryLimit: Int { 256 }

    private var queries: [UInt64: (deadline: Int64, reply: Reply)] = [:]
    private var lastID: UInt64 = 0

    /// - Returns: the query's id; nil if too many queries are pending.
    mutating func start(at now: Int64, reply: @escaping Reply) -> UInt64? {
        guard self.queries.count < Self.queryLimit else { return nil }
        self.lastID += 1
        self.queries[self.lastID] = (now + Self.timeout, reply)
        return self.lastID
    }

    /// Removes a query; nil if it has ended.
    mutating func finish(_ id: UInt64) -> Reply? {
        self.queries.removeValue(forKey: id)?.reply
    }

    /// Removes the queries that have timed out.
    mutating func takeExpired(at now: Int64) -> [Reply] {
        guard !self.queries.isEmpty else { return [] }
        let expired = self.queries.filter { $0.value.deadline <= now }
        for id in expired.keys { self.queries[id] = nil }
        return expired.values.map(\.reply)
    }
}
