internal import EventLoop

/// Who the master is, by what the sentinels say.
///
/// The first answer counts at once, because waiting for a dead sentinel would cost more than a wrong connection, which ROLE finds out. When
/// answers differ, most of those who have one decide. News of a switch counts at once, whoever brings it: a sentinel tells it only when a
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
    /// A switch went away from there: who still names it has not heard of that.
    private var formerMaster: (place: RedisEndpoint, until: MonotonicTime)?

    /// Sentinels tell each other of a switch every two seconds.
    private static let staleVotePeriod = Duration.seconds(10)

    init(name: String, sentinelCount: Int) {
        self.name = name
        self.votes = Array(repeating: .pending, count: sentinelCount)
    }

    /// A sentinel answers: nil when it does not know a master of this name.
    mutating func receivedAnswer(_ place: RedisEndpoint?, from sentinel: Int, now: MonotonicTime) {
        guard let place else {
            self.votes[sentinel] = .unknownName
            return
        }
        if let left = self.formerMaster, left.place == place, now < left.until {
            self.votes[sentinel] = .pending
            return
        }
        self.votes[sentinel] = .names(place)
        var best = self.master
        var bestVotes = best.map(self.voteCount(for:)) ?? 0
        for case .names(let candidate) in self.votes
        where self.voteCount(for: candidate) > bestVotes {
            best = candidate
            bestVotes = self.voteCount(for: candidate)
        }
        self.master = best
    }

    /// A sentinel says that the master has changed.
    mutating func receivedSwitch(
        from old: RedisEndpoint, to new: RedisEndpoint, by sentinel: Int, now: MonotonicTime
    ) {
        self.formerMaster = old == new ? nil : (old, now.advanced(by: Self.staleVotePeriod))
        for (other, opinion) in self.votes.enumerated() where opinion == .names(old) {
            self.votes[other] = .pending
        }
        self.votes[sentinel] = .names(new)
        self.master = new
    }

    /// There is no connection to a sentinel. What it said is forgotten, but not the master: that may be alive when no sentinel is.
    mutating func sentinelUnavailable(_ sentinel: Int, _ outage: RedisOutage) {
        self.votes[sentinel] = .unavailable(outage)
    }

    /// Why no master is known; nil while one is, or somebody has not answered yet.
    var outage: RedisOutage? {
        guard self.master == nil, !self.votes.contains(.pending) else { return nil }
        if self.votes.contains(.unknownName) { return .unknownMaster(name: self.name) }
        for case .unavailable(let outage) in self.votes {
            return .noSentinel(reason: outage.description)
        }
        return nil
    }

    private func voteCount(for place: RedisEndpoint) -> Int {
        self.votes.count { $0 == .names(place) }
    }
}

extension MasterSearch {
    /// What a sentinel's reply or push says, where it is about this master.
    enum SentinelMessage: Equatable {
        case answer(RedisEndpoint?)
        case switched(from: RedisEndpoint, to: RedisEndpoint)
    }

    func message(in reply: RedisReply) -> SentinelMessage? {
        if reply.isNull { return .answer(nil) }
        var parts = reply.elements
        guard let first = parts.next(), let second = parts.next() else { return nil }
        guard let third = parts.next() else {
            // The answer to a ping has two words too, and no port.
            return Self.endpoint(first.string, second.string).map { .answer($0) }
        }
        guard first.isText("message"), second.isText("+switch-master") else { return nil }
        // name, old host, old port, new host, new port; a name has no blanks in it.
        let words = third.string.split(separator: " ").map(String.init)
        guard words.count == 5, words[0] == self.name, let old = Self.endpoint(words[1], words[2]),
            let new = Self.endpoint(words[3], words[4])
        else { return nil }
        return .switched(from: old, to: new)
    }

    private static func endpoint(_ host: String, _ port: String) -> RedisEndpoint? {
        guard !host.isEmpty, let port = UInt16(port), port > 0 else { return nil }
        return RedisEndpoint(host: host, port: port)
    }
}
