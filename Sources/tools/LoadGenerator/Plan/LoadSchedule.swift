import Configuration
import EventLoop

/// The phases of a run, and their ends. It receives observations, and returns phase changes.
///
/// The server's CPU time is measured between two moments without messages in flight, one before and
/// one after the measured phase. So it contains the whole cost of every message.
struct LoadSchedule {
    enum Phase: Equatable {
        /// Handshakes are in progress.
        case connecting
        /// Presence events of the joins may still arrive.
        case settling
        /// No messages are sent; the idle cost is measured.
        case idle
        case warmingUp
        case drainingWarmup
        case pausingBeforeMeasuring
        case measuring
        case draining
        case pausingAfterMeasuring
        /// Everything is delivered; any further delivery is a repeat.
        case watchingForRepeats
        case ended
    }

    enum PhaseChange: Equatable {
        case connectionsSettled
        case idleEnded
        case measuringBegan
        case publishingEnded
        case measuringEnded
        case ended
    }

    /// The state of the run at a moment.
    struct Observation {
        var now: MonotonicTime
        /// Open, rejected and lost connections.
        var open = 0
        var refused = 0
        var lost = 0
        /// Received frames of any kind.
        var frames: UInt64 = 0
        var expected: UInt64 = 0
        var received: UInt64 = 0
        var repeated: UInt64 = 0
    }

    private(set) var phase = Phase.connecting
    /// Why the run ended early.
    private(set) var stallReason: String?
    private let plan: LoadPlan
    private var phaseStart: MonotonicTime
    /// When the watched count last changed, and its value then.
    private var changedAt: MonotonicTime
    private var lastCount: UInt64 = 0

    /// Without a completed handshake for this long, connecting has stalled.
    static let handshakeTimeout = Duration.seconds(15)
    /// The maximum, even while deliveries still arrive.
    static let drainLimit = Duration.seconds(60)
    static let settleLimit = Duration.seconds(15)
    private static let settleQuietTime = Duration.milliseconds(500)

    init(_ plan: LoadPlan, start: MonotonicTime) {
        self.plan = plan
        self.phaseStart = start
        self.changedAt = start
    }

    var isPublishing: Bool { self.phase == .warmingUp || self.phase == .measuring }

    /// Begins the present phase again, after a sample that took time.
    mutating func restartPhase(at now: MonotonicTime) { self.phaseStart = now }

    /// Call it until it returns nil: one phase change may follow another immediately.
    mutating func advance(_ observation: Observation) -> PhaseChange? {
        while true {
            let phase = self.phase
            if let change = self.step(observation) { return change }
            if self.phase == phase { return nil }
        }
    }

    private mutating func step(_ observation: Observation) -> PhaseChange? {
        let elapsed = observation.now.since(self.phaseStart)
        switch self.phase {
        case .connecting:
            return self.connect(observation)
        case .settling:
            let unchangedFor = self.timeSinceChange(of: observation.frames, at: observation.now)
            guard elapsed >= self.plan.settle,
                unchangedFor >= min(Self.settleQuietTime, self.plan.settle)
                    || elapsed >= Self.settleLimit
            else {
                return nil
            }
            switch self.plan.scenario {
            case .connect: self.begin(.ended, observation)
            case .idle: self.begin(.idle, observation)
            case .broadcast, .groups, .send:
                self.begin(
                    self.plan.warmup > .zero ? .warmingUp : .pausingBeforeMeasuring, observation)
            }
            return .connectionsSettled
        case .idle:
            guard elapsed >= self.plan.duration else { return nil }
            self.begin(.ended, observation)
            return .idleEnded
        case .warmingUp:
            guard elapsed >= self.plan.warmup else { return nil }
            self.begin(.drainingWarmup, observation)
            return nil
        case .drainingWarmup:
            guard self.isDrained(observation, elapsed) else { return nil }
            self.begin(.pausingBeforeMeasuring, observation)
            return nil
        case .pausingBeforeMeasuring:
            guard elapsed >= .milliseconds(200) else { return nil }
            self.begin(.measuring, observation)
            return .measuringBegan
        case .measuring:
            guard elapsed >= self.plan.duration else { return nil }
            self.begin(.draining, observation)
            return .publishingEnded
        case .draining:
            guard self.isDrained(observation, elapsed) else { return nil }
            self.begin(.pausingAfterMeasuring, observation)
            return nil
        case .pausingAfterMeasuring:
            guard elapsed >= .milliseconds(100) else { return nil }
            self.begin(.watchingForRepeats, observation)
            return .measuringEnded
        case .watchingForRepeats:
            guard elapsed >= .milliseconds(300) else { return nil }
            self.begin(.ended, observation)
            return nil
        case .ended:
            return .ended
        }
    }

    private mutating func connect(_ observation: Observation) -> PhaseChange? {
        let finished = observation.open + observation.refused + observation.lost
        guard finished < self.plan.connections else {
            if observation.open == self.plan.connections {
                self.begin(.settling, observation)
            } else {
                // The figures would be wrong with a connection missing.
                self.begin(.ended, observation)
            }
            return nil
        }
        let failures = observation.refused + observation.lost
        if failures > 50, failures > observation.open {
            self.stallReason = "most connections are refused."
            self.begin(.ended, observation)
        } else if self.timeSinceChange(of: UInt64(finished), at: observation.now)
            >= Self.handshakeTimeout
        {
            self.stallReason =
                """
                handshakes have stalled; \(observation.open) of \(self.plan.connections) \
                connections are open.
                """
            self.begin(.ended, observation)
        }
        return nil
    }

    private mutating func isDrained(_ observation: Observation, _ elapsed: Duration) -> Bool {
        observation.received >= observation.expected || elapsed >= Self.drainLimit
            || self.timeSinceChange(
                of: observation.received + observation.repeated, at: observation.now)
                >= self.plan.lossTimeout
    }

    /// How long the count has not changed.
    private mutating func timeSinceChange(of count: UInt64, at now: MonotonicTime) -> Duration {
        if count != self.lastCount {
            self.lastCount = count
            self.changedAt = now
        }
        return now.since(self.changedAt)
    }

    private mutating func begin(_ phase: Phase, _ observation: Observation) {
        self.phase = phase
        self.phaseStart = observation.now
        self.changedAt = observation.now
    }
}
