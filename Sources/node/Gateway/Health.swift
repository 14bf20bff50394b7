import Bytes
import JSON
import Synchronization

/// The state of the node, according to its probes.
public final class Health: Sendable {
    public enum Status: Sendable, Equatable {
        case starting
        case healthy
        case degraded(String)
        case draining
    }

    private struct State {
        var isStarted = false
        var isDraining = false
        /// When each loop last ran a tick, in monotonic milliseconds.
        var loopTurns: [Int64]
        /// By loop, because each loop has its own store client.
        var probes: [LastProbe]
        var linkFailure: String?
        /// When each limit last refused a client, in monotonic milliseconds.
        var refusals: [String: Int64] = [:]
    }

    private struct LastProbe {
        /// The initial value makes the first probe due at once.
        var sentAt = -Health.probeInterval
        var answeredAt = -Health.probeInterval
        var failure: String?
    }

    private let state: Mutex<State>
    private let now: @Sendable () -> Int64
    /// A loop or a store that has not answered for this long counts as failed.
    static let timeoutMilliseconds: Int64 = 5000
    /// How long a refusal is shown.
    static let refusalMilliseconds: Int64 = 10_000
    /// The time between a loop's probes. After a failure the interval is shorter, so that the node
    /// is healthy again soon after its store.
    static let probeInterval: Int64 = 2000
    static let failedProbeInterval: Int64 = 200

    /// - Parameter now: a monotonic clock in milliseconds.
    init(loopCount: Int, now: @escaping @Sendable () -> Int64) {
        self.now = now
        self.state = Mutex(
            State(
                loopTurns: Array(repeating: now(), count: loopCount),
                probes: Array(repeating: LastProbe(), count: loopCount)))
    }

    public var status: Status {
        let now = self.now()
        return self.state.withLock { state in
            if state.isDraining { return .draining }
            if !state.isStarted { return .starting }
            if let stuck = Self.stuckLoop(state, now) {
                return .degraded(Self.stuckReason(loop: stuck))
            }
            if let failure = state.linkFailure { return .degraded("cluster: \(failure)") }
            for probe in state.probes {
                if let failure = probe.failure { return .degraded("store: \(failure)") }
                if probe.sentAt > probe.answeredAt, now - probe.sentAt > Self.timeoutMilliseconds {
                    return .degraded("store: does not answer")
                }
            }
            return .healthy
        }
    }

    /// The limits that refused clients in the last ten seconds, by name.
    public var refusingLimits: [String] {
        let now = self.now()
        return self.state.withLock { state in
            state.refusals.filter { now - $0.value < Self.refusalMilliseconds }.keys.sorted()
        }
    }

    /// - Parameter limit: the limit's name, such as `connections`.
    func recordRefusal(by limit: String) {
        let now = self.now()
        self.state.withLock { $0.refusals[limit] = now }
    }

    /// A loop that has stopped running. Only a restart of the process repairs that. Nil if all
    /// loops run.
    public var stuckLoop: Int? {
        let now = self.now()
        return self.state.withLock { Self.stuckLoop($0, now) }
    }

    private static func stuckLoop(_ state: State, _ now: Int64) -> Int? {
        state.loopTurns.firstIndex { now - $0 > self.timeoutMilliseconds }
    }

    static func stuckReason(loop: Int) -> String { "loop \(loop) does not turn" }

    func markStarted() { self.state.withLock { $0.isStarted = true } }
    func setDraining(_ isDraining: Bool = true) {
        self.state.withLock { $0.isDraining = isDraining }
    }
    func setLinkFailure(_ reason: String?) { self.state.withLock { $0.linkFailure = reason } }
    func recordTurn(_ loop: Int) {
        let now = self.now()
        self.state.withLock { $0.loopTurns[loop] = now }
    }

    /// Whether a loop is to send a probe now. If so, the probe counts as sent. A loop has at most
    /// one pending probe.
    func beginProbeIfDue(_ loop: Int) -> Bool {
        let now = self.now()
        return self.state.withLock { state in
            let pause =
                state.probes[loop].failure == nil ? Self.probeInterval : Self.failedProbeInterval
            guard state.probes[loop].answeredAt >= state.probes[loop].sentAt,
                now - state.probes[loop].sentAt >= pause
            else { return false }
            state.probes[loop].sentAt = now
            return true
        }
    }

    func recordProbe(_ loop: Int, _ failure: String?) {
        let now = self.now()
        self.state.withLock {
            $0.probes[loop].answeredAt = max(now, $0.probes[loop].sentAt)
            $0.probes[loop].failure = failure
        }
    }
}
