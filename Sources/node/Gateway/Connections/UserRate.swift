import Bytes
import ChatModel
import Synchronization

/// The allowances that one user has left on this node, over all of its connections and requests.
final class UserRate: Sendable {
    private struct State {
        var messages: TokenBucket
        /// For new WebSockets and sessions, so that a client that has just connected may send.
        var connects: TokenBucket
        /// For pages of replays, which cost a quarter of a message each.
        var replays: TokenBucket
        var storage: StorageAllowance
    }

    private let state: Mutex<State>
    /// The bytes of answers that wait for the readers of the user's connections.
    private let waiting = Atomic<Int>(0)
    /// The bytes of events that wait for polls of the user's sessions.
    private let unpolled = Atomic<Int>(0)
    /// The bytes that the user's connections have sent of unfinished messages and requests.
    private let unfinished = Atomic<Int>(0)

    init(limits: UserLimits, at now: Int64) {
        self.state = Mutex(
            State(
                messages: TokenBucket(limits: limits, at: now),
                connects: TokenBucket(limits: limits, at: now),
                replays: TokenBucket(limits: limits, at: now),
                storage: StorageAllowance(limits: limits, at: now)))
    }

    /// As `TokenBucket.consume`.
    func consume(limits: UserLimits, at now: Int64, cost: Float = 1) -> Double? {
        self.state.withLock { $0.messages.consume(limits: limits, at: now, cost: cost) }
    }

    /// As `TokenBucket.pause`.
    func pause(limits: UserLimits, cost: Float, longest: Int64) -> TokenBucket.Pause? {
        self.state.withLock { $0.messages.pause(limits: limits, cost: cost, longest: longest) }
    }

    func isOverdrawn(limits: UserLimits) -> Bool {
        self.state.withLock { $0.messages.isOverdrawn(limits: limits) }
    }

    /// Counts a new WebSocket or session. Returns as `TokenBucket.consume`.
    func consumeConnect(limits: UserLimits, at now: Int64) -> Double? {
        self.state.withLock { $0.connects.consume(limits: limits, at: now) }
    }

    /// Counts a page of a replay, before it is read.
    ///
    /// - Returns: nil if it may be read; otherwise the seconds to wait.
    func consumeReplay(limits: UserLimits, at now: Int64) -> Double? {
        self.state.withLock {
            $0.replays.consume(limits: limits, at: now, cost: Self.replayPageCost)
        }
    }

    /// Counts the bytes of a page that has been read.
    func chargeReplay(bytes: Int, limits: UserLimits, at now: Int64) {
        let cost = Self.replayPageCost * Float(bytes) / Float(limits.messageBytes)
        self.state.withLock { $0.replays.charge(limits: limits, at: now, cost: cost) }
    }

    private static let replayPageCost: Float = 0.25

    /// Counts the bytes that a command stores. Entering counts later, with `storeMember`, because
    /// most users that enter are members already.
    ///
    /// - Returns: why the command is refused; nil if it is not.
    func store(
        _ command: ChatCommand, in key: ConversationKey, limits: UserLimits, at now: Int64
    ) -> ChatError? {
        switch command {
        case .joinAndSubscribe, .join: return self.entryRefusal(limits: limits, at: now)
        default: break
        }
        let bytes = command.storedBytes(inInbox: key.isInbox)
        return self.state.withLock { $0.storage.consume(bytes, limits: limits, at: now) }
            .map { .storageLimited(retryAfterSeconds: $0) }
    }

    /// Why the user may enter no conversation at present; nil if it may.
    func entryRefusal(limits: UserLimits, at now: Int64) -> ChatError? {
        self.state.withLock { $0.storage.secondsInDebt(limits: limits, at: now) }
            .map { .storageLimited(retryAfterSeconds: $0) }
    }

    /// Counts the bytes of a new membership of the user.
    func storeMember(_ person: Person, limits: UserLimits, at now: Int64) {
        let bytes = ChatCommand.storedBytes(of: person)
        self.state.withLock { $0.storage.charge(bytes, limits, at: now) }
    }

    /// Whether it is as a new one would be.
    func isFull(limits: UserLimits, at now: Int64) -> Bool {
        self.state.withLock {
            $0.messages.isFull(limits: limits, at: now)
                && $0.connects.isFull(limits: limits, at: now)
                && $0.replays.isFull(limits: limits, at: now)
                && $0.storage.isFull(limits: limits, at: now)
        }
    }

    fileprivate func addWaiting(_ bytes: Int) { self.waiting.add(bytes, ordering: .relaxed) }

    var waitingBytes: Int { self.waiting.load(ordering: .relaxed) }

    fileprivate func addUnpolled(_ bytes: Int) { self.unpolled.add(bytes, ordering: .relaxed) }

    var unpolledBytes: Int { self.unpolled.load(ordering: .relaxed) }

    func addUnfinished(_ bytes: Int) { self.unfinished.add(bytes, ordering: .relaxed) }

    var unfinishedBytes: Int { self.unfinished.load(ordering: .relaxed) }
}

/// The bytes that a user may still store. A day refills it evenly.
struct StorageAllowance {
    private var bytes: Double
    private var filledAt: Int64
    private static let dayMilliseconds = 86_400_000.0

    init(limits: UserLimits, at now: Int64) {
        self.bytes = Double(limits.storedBytesPerDay)
        self.filledAt = now
    }

    /// Consumes bytes. If there are too few, returns the seconds until there are enough.
    mutating func consume(_ count: Int, limits: UserLimits, at now: Int64) -> Double? {
        let count = min(count, limits.storedBytesPerDay)
        let missing = Double(count) - self.available(limits, at: now)
        guard missing > 0 else {
            self.charge(count, limits, at: now)
            return nil
        }
        return Self.seconds(toRefill: missing, limits)
    }

    /// Consumes bytes that are stored already, even if there are too few.
    mutating func charge(_ count: Int, _ limits: UserLimits, at now: Int64) {
        self.bytes = self.available(limits, at: now) - Double(count)
        self.filledAt = now
    }

    /// The seconds until the user may enter further conversations; nil if it may. Members may enter
    /// although they have stored what they may, so entering goes into debt, up to a part of the
    /// limit.
    func secondsInDebt(limits: UserLimits, at now: Int64) -> Double? {
        let debtLimit = Double(limits.storedBytesPerDay) / Self.debtPart
        let missing = -debtLimit - self.available(limits, at: now)
        return missing > 0 ? Self.seconds(toRefill: missing, limits) : nil
    }

    private static func seconds(toRefill bytes: Double, _ limits: UserLimits) -> Double {
        bytes / Double(limits.storedBytesPerDay) * self.dayMilliseconds / 1000
    }

    private static let debtPart = 16.0

    func isFull(limits: UserLimits, at now: Int64) -> Bool {
        self.available(limits, at: now) >= Double(limits.storedBytesPerDay)
    }

    private func available(_ limits: UserLimits, at now: Int64) -> Double {
        let limit = Double(limits.storedBytesPerDay)
        return min(limit, self.bytes + Double(now - self.filledAt) * limit / Self.dayMilliseconds)
    }
}

/// How one connection uses the rate of its user.
final class ConnectionRate {
    private(set) var user: UserRate
    /// The frames that a pause has paid for.
    @exclusivity(unchecked) private var paidFrames: Float = 0
    /// Since when the client has gone on sending although it was paused, in monotonic milliseconds;
    /// 0 if it has not.
    @exclusivity(unchecked) private var aboveSince: Int64 = 0
    /// The monotonic millisecond at which the pause ends; 0 if there is none.
    @exclusivity(unchecked) private(set) var pausedUntil: Int64 = 0
    /// When the last frame was read, or the last pause ended.
    @exclusivity(unchecked) private var activeAt: Int64 = 0
    /// The bytes of answers that wait for this connection's reader.
    @exclusivity(unchecked) private var waitingBytes = 0
    /// The bytes of events that wait for this connection's polls.
    @exclusivity(unchecked) private var unpolledBytes = 0
    /// The monotonic millisecond at which its replays continue; 0 if they do not wait.
    @exclusivity(unchecked) private var replaysAt: Int64 = 0

    /// How long a client may go on sending above its limit, in milliseconds.
    static let patience: Int64 = 10_000
    /// A client that is read and sends nothing for so long does not go on sending. It may only
    /// share its limit with others. In milliseconds.
    private static let silence: Int64 = 100

    init(_ user: UserRate) { self.user = user }

    deinit {
        self.setWaiting(0)
        self.setUnpolled(0)
    }

    /// The user of the connection has become known.
    func changeUser(to user: UserRate) {
        let (waiting, unpolled) = (self.waitingBytes, self.unpolledBytes)
        self.setWaiting(0)
        self.setUnpolled(0)
        self.user = user
        self.setWaiting(waiting)
        self.setUnpolled(unpolled)
    }

    enum FrameAdmission: Equatable {
        case admitted
        /// The client may repeat the frame after these seconds.
        case refused(retryAfter: Double)
        /// As `refused`, and nothing is read for a while.
        case paused(retryAfter: Double)
        /// The client has gone on sending above its limit.
        case exhausted
    }

    /// Counts a frame against the rate of the user.
    func admit(limits: UserLimits, at now: Int64, cost: Float) -> FrameAdmission {
        if !self.isPaused, now - self.activeAt > Self.silence { self.aboveSince = 0 }
        self.activeAt = now
        if self.paidFrames >= cost {
            self.paidFrames -= cost
            return .admitted
        }
        guard let wait = self.user.consume(limits: limits, at: now, cost: cost) else {
            return .admitted
        }
        guard let pause = self.user.pause(limits: limits, cost: cost, longest: Self.patience) else {
            return .refused(retryAfter: wait)
        }
        if self.aboveSince == 0 { self.aboveSince = now }
        guard now - self.aboveSince < Self.patience else { return .exhausted }
        self.paidFrames = pause.frames
        self.pausedUntil = now + pause.milliseconds
        // Later than the pause ends, so that a client that obeys is silent for a while.
        return .paused(retryAfter: max(wait, Double(pause.milliseconds) / 1000 + 0.25))
    }

    var isPaused: Bool { self.pausedUntil != 0 }

    /// Whether a new value of the same user would be equal.
    func isAsNew(limits: UserLimits, at now: Int64) -> Bool {
        !self.isPaused && self.replaysAt == 0 && self.waitingBytes == 0 && self.unpolledBytes == 0
            && self.user.isFull(limits: limits, at: now)
    }

    /// Ends the pause if its time has come.
    ///
    /// - Returns: whether the client may be read again because of that.
    func endPause(at now: Int64) -> Bool {
        guard self.isPaused, self.pausedUntil <= now else { return false }
        self.pausedUntil = 0
        self.activeAt = now
        return true
    }

    /// When `endPause` or `endReplayWait` must be called; nil for never.
    var wakeAt: Int64? {
        switch (self.pausedUntil, self.replaysAt) {
        case (0, 0): nil
        case (let time, 0), (0, let time): time
        case (let pause, let replays): min(pause, replays)
        }
    }

    // MARK: Replays

    /// Counts a page of a replay, before it is read.
    ///
    /// - Returns: whether it may be read at once. If not, `endReplayWait` says when.
    func admitReplay(limits: UserLimits, at now: Int64) -> Bool {
        guard let seconds = self.user.consumeReplay(limits: limits, at: now) else { return true }
        self.replaysAt = now + max(1, Int64(seconds * 1000))
        return false
    }

    /// - Returns: whether the connection's replays may continue.
    func endReplayWait(at now: Int64) -> Bool {
        guard self.replaysAt != 0, self.replaysAt <= now else { return false }
        self.replaysAt = 0
        return true
    }

    // MARK: Events that wait for polls

    func setUnpolled(_ bytes: Int) {
        guard bytes != self.unpolledBytes else { return }
        self.user.addUnpolled(bytes - self.unpolledBytes)
        self.unpolledBytes = bytes
    }

    /// Whether several events may wait for this connection's polls. They may if less waits for
    /// those of the user's other connections.
    func mayRetainEvents(_ byteLimit: Int) -> Bool {
        self.user.unpolledBytes - self.unpolledBytes < byteLimit
    }

    // MARK: Answers that wait

    func setWaiting(_ bytes: Int) {
        guard bytes != self.waitingBytes else { return }
        self.user.addWaiting(bytes - self.waitingBytes)
        self.waitingBytes = bytes
    }

    /// Whether another answer may wait for this connection's reader. It may if the user's other
    /// connections wait for less than this.
    func mayWait(_ byteLimit: Int) -> Bool {
        self.user.waitingBytes - self.waitingBytes < byteLimit
    }
}
