import Bytes
import JSON
import Synchronization

/// Whether the node can do its work, as its probes found it.
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
        /// When each loop last turned, as monotonic milliseconds.
        var loops: [Int64]
        /// Each loop has its own way to the store.
        var probes: [Probe]
        var linkFailure: String?
    }

    private struct Probe {
        /// None has been sent.
        var sentAt = -Health.probePause
        var answeredAt = -Health.probePause
        var failure: String?
    }

    private let state: Mutex<State>
    private let now: @Sendable () -> Int64
    /// A loop, or a store, that has not answered for so long does not work.
    static let patience: Int64 = 5000
    /// Between a loop's probes; a store that failed is asked again soon, so that its node is back as soon as it is.
    static let probePause: Int64 = 2000
    static let failedProbePause: Int64 = 200

    /// - Parameter now: a monotonic clock in milliseconds.
    init(loopCount: Int, now: @escaping @Sendable () -> Int64) {
        self.now = now
        self.state = Mutex(
            State(loops: Array(repeating: now(), count: loopCount), probes: Array(repeating: Probe(), count: loopCount)))
    }

    public var status: Status {
        let now = self.now()
        return self.state.withLock { state in
            if state.isDraining { return .draining }
            if !state.isStarted { return .starting }
            if let stuck = Self.stuckLoop(state, now) { return .degraded(Self.sentence(stuck: stuck)) }
            if let failure = state.linkFailure { return .degraded("cluster: \(failure)") }
            for probe in state.probes {
                if let failure = probe.failure { return .degraded("store: \(failure)") }
                if probe.sentAt > probe.answeredAt, now - probe.sentAt > Self.patience { return .degraded("store: does not answer") }
            }
            return .healthy
        }
    }

    /// A loop that does not turn, whatever the store does: only another process mends that. Nil where all loops turn.
    public var stuckLoop: Int? {
        let now = self.now()
        return self.state.withLock { Self.stuckLoop($0, now) }
    }

    private static func stuckLoop(_ state: State, _ now: Int64) -> Int? { state.loops.firstIndex { now - $0 > self.patience } }

    static func sentence(stuck loop: Int) -> String { "loop \(loop) does not turn" }

    func started() { self.state.withLock { $0.isStarted = true } }
    func draining(_ isDraining: Bool = true) { self.state.withLock { $0.isDraining = isDraining } }
    func linkFailed(_ reason: String?) { self.state.withLock { $0.linkFailure = reason } }
    func turned(_ loop: Int) {
        let now = self.now()
        self.state.withLock { $0.loops[loop] = now }
    }

    /// Whether a loop is to send a probe: from time to time, and not while one of its own is under way.
    func probeIsDue(_ loop: Int) -> Bool {
        let now = self.now()
        return self.state.withLock { state in
            let pause = state.probes[loop].failure == nil ? Self.probePause : Self.failedProbePause
            guard state.probes[loop].answeredAt >= state.probes[loop].sentAt, now - state.probes[loop].sentAt >= pause else { return false }
            state.probes[loop].sentAt = now
            return true
        }
    }

    func probed(_ loop: Int, _ failure: String?) {
        let now = self.now()
        self.state.withLock {
            $0.probes[loop].answeredAt = max(now, $0.probes[loop].sentAt)
            $0.probes[loop].failure = failure
        }
    }
}
