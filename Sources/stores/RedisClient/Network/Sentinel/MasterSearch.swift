internal import EventLoop

/// Decides which server is the master, from the replies of the sentinels.
///
/// The first reply counts at once: waiting for a dead sentinel would cost more than a wrong
/// connection, which the ROLE check detects. When replies differ, the majority of those received
/// decides. A switch counts at once from any sentinel, because a sentinel reports one only after a
/// majority has agreed.
struct MasterSearch {
    private enum Vote: Equatable {
        case pending
        case unknownName
        case names(RedisEndpoint)
        case unavailable(RedisOutage)
    }

    let name: String
    private(set) var master: RedisEndpoint?
    private var votes: [Vote]
    /// The previous master of the last switch. A sentinel that still names it has not learned of
    /// the switch.
    private var formerMaster: (endpoint: RedisEndpoint, until: MonotonicTime)?

    /// Sentinels announce a switch to each other every two seconds.
    private static let staleVotePeriod = Duration.seconds(10)

    init(name: String, sentinelCount: Int) {
        self.name = name
        self.votes = Array(repeating: .pending, count: sentinelCount)
    }

    /// Records a sentinel's reply; nil when the sentinel knows no master of this name.
    mutating func receivedAnswer(_ endpoint: RedisEndpoint?, from sentinel: Int, now: MonotonicTime)
    {
        guard let endpoint else {
            self.votes[sentinel] = .unknownName
            return
        }
        if let former = self.formerMaster, former.endpoint == endpoint, now < former.until {
            self.votes[sentinel] = .pending
            return
        }
        self.votes[sentinel] = .names(endpoint)
        var best = self.master
        var bestVotes = best.map(self.voteCount(for:)) ?? 0
        for case .names(let candidate) in self.votes
        where self.voteCount(for: candidate) > bestVotes {
            best = candidate
            bestVotes = self.voteCount(for: candidate)
        }
        self.master = best
    }

    /// Records a sentinel's report that the master has changed.
    mutating func receivedSwitch(
        from old: RedisEndpoint, to new: RedisEndpoint, by sentinel: Int, now: MonotonicTime
    ) {
        self.formerMaster = old == new ? nil : (old, now.advanced(by: Self.staleVotePeriod))
        for (other, vote) in self.votes.enumerated() where vote == .names(old) {
            self.votes[other] = .pending
        }
        self.votes[sentinel] = .names(new)
        self.master = new
    }

    /// Discards the vote of a sentinel without a connection, but keeps the master, which may run
    /// although no sentinel does.
    mutating func sentinelUnavailable(_ sentinel: Int, _ outage: RedisOutage) {
        self.votes[sentinel] = .unavailable(outage)
    }

    /// Why no master is known; nil while one is known or a sentinel has not replied yet.
    var outage: RedisOutage? {
        guard self.master == nil, !self.votes.contains(.pending) else { return nil }
        if self.votes.contains(.unknownName) { return .unknownMaster(name: self.name) }
        for case .unavailable(let outage) in self.votes {
            return .noSentinel(reason: outage.description)
        }
        return nil
    }

    private func voteCount(for endpoint: RedisEndpoint) -> Int {
        self.votes.count { $0 == .names(endpoint) }
    }
}

extension MasterSearch {
    /// A sentinel's reply or push message about this master.
    enum SentinelMessage: Equatable {
        case answer(RedisEndpoint?)
        case switched(from: RedisEndpoint, to: RedisEndpoint)
    }

    func message(in reply: RedisReply) -> SentinelMessage? {
        if reply.isNull { return .answer(nil) }
        var parts = reply.elements
        guard let first = parts.next(), let second = parts.next() else { return nil }
        guard let third = parts.next() else {
            // The reply to a PING has two elements too, but no port.
            return Self.endpoint(first.string, second.string).map { .answer($0) }
        }
        guard first.isText("message"), second.isText("+switch-master") else { return nil }
        // Name, old host, old port, new host, new port. A name contains no blank.
        let fields = third.string.split(separator: " ").map(String.init)
        guard fields.count == 5, fields[0] == self.name,
            let old = Self.endpoint(fields[1], fields[2]),
            let new = Self.endpoint(fields[3], fields[4])
        else { return nil }
        return .switched(from: old, to: new)
    }

    private static func endpoint(_ host: String, _ port: String) -> RedisEndpoint? {
        guard !host.isEmpty, let port = UInt16(port), port > 0 else { return nil }
        return RedisEndpoint(host: host, port: port)
    }
}
