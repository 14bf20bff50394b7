internal import EventLoop

/// Who the master is, by what the sentinels say.
///
/// The first answer counts at once, because waiting for a dead sentinel would cost more than a wrong connection, which ROLE finds out. When
/// answers differ, most of those who have one decide. News of a switch counts at once, whoever brings it: a sentinel tells it only when a
/// majority has agreed.
struct MasterSearch {
    private enum Opinion: Equatable {
        case unheard
        case unknown
        case names(RedisPlace)
        case away(RedisOutage)
    }

    let name: String
    private(set) var master: RedisPlace?
    private var opinions: [Opinion]
    /// A switch went away from there: who still names it has not heard of that.
    private var left: (place: RedisPlace, until: MonotonicTime)?

    /// Sentinels tell each other of a switch every two seconds.
    private static let hearsay = Duration.seconds(10)

    init(name: String, sentinelCount: Int) {
        self.name = name
        self.opinions = Array(repeating: .unheard, count: sentinelCount)
    }

    /// A sentinel answers: nil when it does not know a master of this name.
    mutating func heard(_ place: RedisPlace?, from sentinel: Int, now: MonotonicTime) {
        guard let place else {
            self.opinions[sentinel] = .unknown
            return
        }
        if let left = self.left, left.place == place, now < left.until {
            self.opinions[sentinel] = .unheard
            return
        }
        self.opinions[sentinel] = .names(place)
        var best = self.master
        var bestVotes = best.map(self.votes(for:)) ?? 0
        for case .names(let candidate) in self.opinions where self.votes(for: candidate) > bestVotes {
            best = candidate
            bestVotes = self.votes(for: candidate)
        }
        self.master = best
    }

    /// A sentinel says that the master has changed.
    mutating func switched(from old: RedisPlace, to new: RedisPlace, by sentinel: Int, now: MonotonicTime) {
        self.left = old == new ? nil : (old, now.advanced(by: Self.hearsay))
        for (other, opinion) in self.opinions.enumerated() where opinion == .names(old) { self.opinions[other] = .unheard }
        self.opinions[sentinel] = .names(new)
        self.master = new
    }

    /// There is no connection to a sentinel. What it said is forgotten, but not the master: that may be alive when no sentinel is.
    mutating func lost(_ sentinel: Int, _ outage: RedisOutage) {
        self.opinions[sentinel] = .away(outage)
    }

    /// Why no master is known; nil while one is, or somebody has not answered yet.
    var outage: RedisOutage? {
        guard self.master == nil, !self.opinions.contains(.unheard) else { return nil }
        if self.opinions.contains(.unknown) { return .unknownMaster(name: self.name) }
        for case .away(let outage) in self.opinions { return .noSentinel(reason: outage.description) }
        return nil
    }

    private func votes(for place: RedisPlace) -> Int {
        self.opinions.count { $0 == .names(place) }
    }
}

extension MasterSearch {
    /// What a sentinel's reply or push says, where it is about this master.
    enum News: Equatable {
        case answer(RedisPlace?)
        case switched(from: RedisPlace, to: RedisPlace)
    }

    func news(in reply: RedisReply) -> News? {
        if reply.isNull { return .answer(nil) }
        var parts = reply.elements
        guard let first = parts.next(), let second = parts.next() else { return nil }
        guard let third = parts.next() else {
            // The answer to a ping has two words too, and no port.
            return Self.place(first.string, second.string).map { .answer($0) }
        }
        guard first.isText("message"), second.isText("+switch-master") else { return nil }
        // name, old host, old port, new host, new port; a name has no blanks in it.
        let words = third.string.split(separator: " ").map(String.init)
        guard words.count == 5, words[0] == self.name, let old = Self.place(words[1], words[2]), let new = Self.place(words[3], words[4])
        else { return nil }
        return .switched(from: old, to: new)
    }

    private static func place(_ host: String, _ port: String) -> RedisPlace? {
        guard !host.isEmpty, let port = UInt16(port), port > 0 else { return nil }
        return RedisPlace(host: host, port: port)
    }
}
