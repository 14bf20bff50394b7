import Bytes
import ChatModel
import Configuration
import DialectKit
import Identity
import Synchronization

/// The user whose messages and requests count together.
enum RateKey: Hashable, Sendable {
    case user(UserID, tenant: ByteString)
    /// Guests and clients without a user: everybody can be any number of them. IPv6 addresses count
    /// by their network of 64 bits.
    case address(IPAddress)

    init(_ principal: Principal?, tenant: ByteString, from address: IPAddress) {
        if let user = principal?.person.id, !user.isAnonymous {
            self = .user(user, tenant: tenant)
        } else {
            self = .address(address.network64)
        }
    }

    init(_ credentials: Credentials, from address: IPAddress) {
        if case .bearer(let identity) = credentials, identity.guest == nil {
            self = .user(UserID(of: identity), tenant: identity.tenant)
        } else {
            self = .address(address.network64)
        }
    }
}

/// The bytes that a user may still store.
struct StorageAllowance {
    private var bytes: Double
    private var filledAt: Int64
    private static let dayMilliseconds = 86_400_000.0

    init(limits: Limits, at now: Int64) {
        self.bytes = Double(limits.storedBytesPerDay)
        self.filledAt = now
    }

    /// Consumes bytes. If there are too few, returns the seconds until there are enough.
    mutating func consume(_ count: Int, limits: Limits, at now: Int64) -> Double? {
        let limit = Double(limits.storedBytesPerDay)
        let perMillisecond = limit / Self.dayMilliseconds
        self.bytes = min(limit, self.bytes + Double(now - self.filledAt) * perMillisecond)
        self.filledAt = now
        let count = min(Double(count), limit)
        guard self.bytes < count else {
            self.bytes -= count
            return nil
        }
        return (count - self.bytes) / perMillisecond / 1000
    }

    func isFull(limits: Limits, at now: Int64) -> Bool {
        let limit = Double(limits.storedBytesPerDay)
        return self.bytes + Double(now - self.filledAt) * limit / Self.dayMilliseconds >= limit
    }
}

/// What one user may still do on this node, over all of its connections and requests.
final class UserRate: Sendable {
    private struct State {
        var messages: TokenBucket
        var storage: StorageAllowance
    }

    private let state: Mutex<State>
    /// The bytes that wait for readers on the user's connections, of answers that the user
    /// requested.
    private let waitingBytes = Atomic<Int>(0)

    init(limits: Limits, at now: Int64) {
        self.state = Mutex(
            State(
                messages: TokenBucket(limits: limits, at: now),
                storage: StorageAllowance(limits: limits, at: now)))
    }

    /// As `TokenBucket.consume`.
    func consume(limits: Limits, at now: Int64, cost: Float = 1) -> Double? {
        self.state.withLock { $0.messages.consume(limits: limits, at: now, cost: cost) }
    }

    /// As `TokenBucket.chargeRefusal`.
    func chargeRefusal(limits: Limits) -> Double? {
        self.state.withLock { $0.messages.chargeRefusal(limits: limits) }
    }

    /// Counts bytes that a request stores.
    ///
    /// - Returns: why the request is refused; nil if it is not.
    func store(_ bytes: Int, limits: Limits, at now: Int64) -> ChatError? {
        guard bytes > 0 else { return nil }
        return self.state.withLock { $0.storage.consume(bytes, limits: limits, at: now) }.map {
            .storageLimited(limit: "stored-bytes-per-day", retryAfterSeconds: $0)
        }
    }

    func isFull(limits: Limits, at now: Int64) -> Bool {
        self.state.withLock {
            $0.messages.isFull(limits: limits, at: now) && $0.storage.isFull(limits: limits, at: now)
        }
    }

    fileprivate func addWaiting(_ bytes: Int) {
        self.waitingBytes.add(bytes, ordering: .relaxed)
    }

    fileprivate var waiting: Int { self.waitingBytes.load(ordering: .relaxed) }
}

/// The rates of the users of a node.
///
/// A rate outlives the user's connections until its bucket is full again. Otherwise each new
/// connection would bring a new burst.
final class RateLedger: Sendable {
    private struct State {
        var rates: [RateKey: UserRate] = [:]
        /// The number of rates at which unused ones are removed.
        var purgeAt = 1024
    }

    private let state = Mutex(State())
    /// For requests that come from no loop.
    private let limits: Mutex<Limits>
    private let now: @Sendable () -> Int64

    /// - Parameter now: a monotonic clock in milliseconds.
    init(_ limits: Limits, now: @escaping @Sendable () -> Int64) {
        self.limits = Mutex(limits)
        self.now = now
    }

    func reload(_ limits: Limits) { self.limits.withLock { $0 = limits } }

    /// As `UserRate.store`.
    func store(_ bytes: Int, by key: RateKey) -> ChatError? {
        guard bytes > 0 else { return nil }
        let (limits, now) = (self.limits.withLock { $0 }, self.now())
        return self.rate(of: key, limits: limits, at: now).store(bytes, limits: limits, at: now)
    }

    func rate(of key: RateKey, limits: Limits, at now: Int64) -> UserRate {
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

    /// Removes the rates that no connection has and whose bucket is full. A connection that still
    /// has such a rate would only count alone.
    private static func purge(
        _ rates: inout [RateKey: UserRate], limits: Limits, at now: Int64
    ) {
        var index = rates.startIndex
        var unused: [RateKey] = []
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

/// How one connection uses the rate of its user.
final class ConnectionRate {
    let user: UserRate
    /// Since when each frame was refused, in monotonic milliseconds; 0 if the last one was not.
    @exclusivity(unchecked) private var refusedSince: Int64 = 0
    @exclusivity(unchecked) private var refusals = 0
    /// The monotonic millisecond until which nothing is read; 0 if the connection is read.
    @exclusivity(unchecked) var pausedUntil: Int64 = 0

    /// How long a client may go on sending above its limit, and how many refusals it gets at least.
    private static let patience: Int64 = 10_000
    private static let refusalLimit = 20

    /// The bytes of requested answers that wait for this connection's reader.
    @exclusivity(unchecked) private var waiting = 0

    init(_ user: UserRate) { self.user = user }

    deinit { self.setWaiting(0) }

    func setWaiting(_ bytes: Int) {
        guard bytes != self.waiting else { return }
        self.user.addWaiting(bytes - self.waiting)
        self.waiting = bytes
    }

    /// Whether the user's other connections wait for less than this.
    func mayWait(_ byteLimit: Int) -> Bool { self.user.waiting - self.waiting < byteLimit }

    /// The outcome of a frame.
    enum Outcome: Equatable {
        case admitted
        /// The frame is refused. The client may repeat it after these seconds.
        case refused(retryAfter: Double)
        /// As `refused`, and nothing is read until this monotonic millisecond.
        case paused(retryAfter: Double, until: Int64)
        /// The client has gone on sending above its limit.
        case exhausted
    }

    func admit(limits: Limits, at now: Int64, cost: Float) -> Outcome {
        guard let wait = self.user.consume(limits: limits, at: now, cost: cost) else {
            self.refusedSince = 0
            self.refusals = 0
            return .admitted
        }
        if self.refusedSince == 0 { self.refusedSince = now }
        self.refusals += 1
        if self.refusals >= Self.refusalLimit, now - self.refusedSince >= Self.patience {
            return .exhausted
        }
        guard let pause = self.user.chargeRefusal(limits: limits) else {
            return .refused(retryAfter: wait)
        }
        self.pausedUntil = now + max(1, Int64(pause * 1000))
        return .paused(retryAfter: wait, until: self.pausedUntil)
    }
}
