/// Decides since when Redis has not answered this node, and which interruptions belong in the
/// cluster's event log.
///
/// It is a value: it receives events with the milliseconds of one clock. The node sends a heartbeat
/// twice a second, so a reply is always due. A pause of the node itself, such as a stopped process,
/// does not count as silence of Redis.
struct RedisActivity {
    /// A time without replies that has ended, or a change of the master.
    struct Interruption: Equatable {
        let milliseconds: Int64
        /// Why there was no connection, if the connection broke.
        let reason: String?
        /// The servers before and after it.
        let before: [String]
        let after: [String]

        var isFailover: Bool { !self.before.isEmpty && self.before != self.after }
    }

    /// Without a reply for this time, Redis counts as silent.
    static let silenceLimit: Int64 = 1000

    private var repliedAt: Int64
    private var tickedAt: Int64
    private var servers: [String] = []
    private var reason: String?

    init(at now: Int64) {
        self.repliedAt = now
        self.tickedAt = now
    }

    /// Must be called several times a second.
    mutating func ticked(at now: Int64) {
        let pause = now - self.tickedAt
        if pause >= Self.silenceLimit { self.repliedAt = min(now, self.repliedAt + pause) }
        self.tickedAt = now
    }

    /// The connection broke, or an attempt to connect failed.
    mutating func failed(_ reason: String) {
        self.reason = reason
    }

    /// Redis has replied.
    ///
    /// - Parameter servers: the servers that execute commands.
    /// - Returns: an interruption that this reply ends.
    mutating func replied(from servers: [String], at now: Int64) -> Interruption? {
        self.ticked(at: now)
        let interruption = Interruption(
            milliseconds: now - self.repliedAt, reason: self.reason, before: self.servers,
            after: servers)
        self.repliedAt = now
        self.servers = servers
        self.reason = nil
        let isLong = interruption.milliseconds >= Self.silenceLimit
        return isLong && !interruption.before.isEmpty || interruption.isFailover
            ? interruption : nil
    }

    /// The milliseconds since the last reply; nil while Redis answers.
    func silence(at now: Int64) -> Int64? {
        let age = now - self.repliedAt
        return age >= Self.silenceLimit ? age : nil
    }
}

extension RedisActivity.Interruption {
    /// The event's name and its detail for operators.
    var event: (name: String, detail: String) {
        let seconds = "\(self.milliseconds / 1000).\(self.milliseconds % 1000 / 100) s"
        if self.isFailover {
            let change = "\(Self.list(self.before)) to \(Self.list(self.after))"
            return ("failover", "from \(change), without answers for \(seconds)")
        }
        let cause = self.reason.map { ": \($0)" } ?? ""
        return ("outage", "Redis at \(Self.list(self.after)) did not answer for \(seconds)\(cause)")
    }

    private static func list(_ servers: [String]) -> String {
        servers.isEmpty ? "an unknown server" : servers.joined(separator: ", ")
    }
}
