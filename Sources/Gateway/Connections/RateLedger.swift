import ChatModel
import Configuration
import Synchronization

/// The rates of the users of a node.
///
/// A rate outlives the user's connections until it is as a new one would be. Otherwise each new
/// connection would bring a new burst.
final class RateLedger: Sendable {
    private struct State {
        var rates: [LimitKey: UserRate] = [:]
        /// The number of rates at which those without a use are removed.
        var purgeAt = 1024
        /// For requests that come from no loop.
        var limits: Limits
    }

    private let state: Mutex<State>
    private let now: @Sendable () -> Int64

    /// - Parameter now: a monotonic clock in milliseconds.
    init(_ limits: Limits, now: @escaping @Sendable () -> Int64) {
        self.state = Mutex(State(limits: limits))
        self.now = now
    }

    func reload(_ limits: Limits) { self.state.withLock { $0.limits = limits } }

    /// Nil if the rate is as a new one.
    func existing(_ key: LimitKey) -> UserRate? { self.state.withLock { $0.rates[key] } }

    func rate(of key: LimitKey, limits: Limits, at now: Int64) -> UserRate {
        self.state.withLock { state in
            if let rate = state.rates[key] { return rate }
            if state.rates.count >= state.purgeAt {
                Self.purge(&state.rates, limits: limits, at: now)
                state.purgeAt = max(1024, 2 * state.rates.count)
            }
            let rate = UserRate(limits: limits, at: now)
            state.rates[key] = rate
            return rate
        }
    }

    /// As `UserRate.store`, for a request that comes from no loop.
    func store(_ command: ChatCommand, in key: ConversationKey, by client: LimitKey) -> ChatError? {
        guard command.storesBytes else { return nil }
        let (limits, now) = (self.state.withLock { $0.limits }, self.now())
        return self.rate(of: client, limits: limits, at: now)
            .store(command, in: key, limits: limits, at: now)
    }

    /// As `UserRate.storeMember`.
    func storeMember(_ person: Person, by client: LimitKey) {
        let (limits, now) = (self.state.withLock { $0.limits }, self.now())
        self.rate(of: client, limits: limits, at: now).storeMember(person, limits: limits, at: now)
    }

    /// Removes the rates that no connection has and that are as new ones. If a connection has such
    /// a rate, it must not be removed: the connection would count alone.
    private static func purge(_ rates: inout [LimitKey: UserRate], limits: Limits, at now: Int64) {
        var unused: [LimitKey] = []
        var index = rates.startIndex
        while index != rates.endIndex {
            if isKnownUniquelyReferenced(&rates.values[index]),
                rates.values[index].isFull(limits: limits, at: now)
            {
                unused.append(rates.keys[index])
            }
            rates.formIndex(after: &index)
        }
        for key in unused { rates[key] = nil }
    }

    var count: Int { self.state.withLock { $0.rates.count } }
}
