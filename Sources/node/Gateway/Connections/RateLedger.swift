import Bytes
import ChatModel
import Synchronization

/// The rates of the users of a node.
///
/// A rate outlives the user's connections until it is as a new one would be. Otherwise each new
/// connection would bring a new burst.
final class RateLedger: Sendable {
    private struct State {
        var users = RateTable<LimitKey>()
        /// For requests that count for no user, but for their address.
        var requests = RateTable<IPAddress>()
    }

    private let state: Mutex<State>
    private let now: @Sendable () -> Int64
    /// The bytes of unfinished messages and requests of all users.
    private let unfinished = Atomic<Int>(0)

    /// - Parameter now: a monotonic clock in milliseconds.
    init(now: @escaping @Sendable () -> Int64) {
        self.state = Mutex(State())
        self.now = now
    }

    /// Nil if the rate is as a new one.
    func existing(_ key: LimitKey) -> UserRate? { self.state.withLock { $0.users.rates[key] } }

    func rate(of key: LimitKey, limits: UserLimits, at now: Int64) -> UserRate {
        self.state.withLock { $0.users.rate(of: key, limits, at: now) }
    }

    /// The rate of an address's requests that count for no user.
    func requestRate(of address: IPAddress, limits: UserLimits, at now: Int64) -> UserRate {
        self.state.withLock { $0.requests.rate(of: address.network64, limits, at: now) }
    }

    /// As `UserRate.store`, for a request that comes from no loop.
    func store(
        _ command: ChatCommand, in key: ConversationKey, by client: LimitKey, limits: UserLimits
    ) -> ChatError? {
        guard command.storesBytes else { return nil }
        let now = self.now()
        return self.rate(of: client, limits: limits, at: now)
            .store(command, in: key, limits: limits, at: now)
    }

    /// As `UserRate.storeMember`.
    func storeMember(_ person: Person, by client: LimitKey, limits: UserLimits) {
        let now = self.now()
        self.rate(of: client, limits: limits, at: now).storeMember(person, limits: limits, at: now)
    }

    /// As `UserRate.consumeReplay`.
    func consumeReplay(by client: LimitKey, limits: UserLimits) -> Double? {
        let now = self.now()
        return self.rate(of: client, limits: limits, at: now).consumeReplay(limits: limits, at: now)
    }

    func addUnfinished(_ bytes: Int) { self.unfinished.add(bytes, ordering: .relaxed) }

    var unfinishedBytes: Int { self.unfinished.load(ordering: .relaxed) }

    /// The number of users with a rate.
    var count: Int { self.state.withLock { $0.users.rates.count } }
}

private let leastPurgedRates = 1024

private struct RateTable<Key: Hashable & Sendable>: Sendable {
    private(set) var rates: [Key: UserRate] = [:]
    /// The number of rates at which those without a use are removed.
    private var purgeAt = leastPurgedRates

    mutating func rate(of key: Key, _ limits: UserLimits, at now: Int64) -> UserRate {
        if let rate = self.rates[key] { return rate }
        if self.rates.count >= self.purgeAt {
            self.purge(limits, at: now)
            self.purgeAt = max(leastPurgedRates, 4 * self.rates.count)
        }
        let rate = UserRate(limits: limits, at: now)
        self.rates[key] = rate
        return rate
    }

    /// Removes the rates that no connection has and that are as new ones. If a connection has such
    /// a rate, it must not be removed: the connection would count alone.
    private mutating func purge(_ limits: UserLimits, at now: Int64) {
        var unused: [Key] = []
        var index = self.rates.startIndex
        while index != self.rates.endIndex {
            if isKnownUniquelyReferenced(&self.rates.values[index]),
                self.rates.values[index].isFull(limits: limits, at: now)
            {
                unused.append(self.rates.keys[index])
            }
            self.rates.formIndex(after: &index)
        }
        for key in unused { self.rates[key] = nil }
    }
}
