import EventLoop

/// The phases of a run, and what ends each. It is told what is so, and answers with what to do at each edge.
///
/// The server's CPU time is taken from quiet to quiet: from the moment at which nothing is on its way before the measured phase to
/// the one after it, so that every message costs within it all that it costs.
struct LoadSchedule {
    enum Phase: Equatable {
        /// Handshakes are made.
        case connecting
        /// News of the entrances may still be on its way.
        case settling
        /// Nobody sends; that is what is measured.
        case idle
        case warmingUp
        case drainingWarmup
        case pausingBeforeMeasuring
        case measuring
        case draining
        case pausingAfterMeasuring
        /// What still comes would be a repeat.
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

    /// What is so at a moment.
    struct Observation {
        var now: MonotonicTime
        /// Connections that are open, refused or gone.
        var open = 0
        var refused = 0
        var lost = 0
        /// Frames of any kind so far.
        var frames: UInt64 = 0
        var expected: UInt64 = 0
        var received: UInt64 = 0
        var repeated: UInt64 = 0
    }

    private(set) var phase = Phase.connecting
    /// Why the run was ended before its time.
    private(set) var stallReason: String?
    private let plan: LoadPlan
    private var phaseStart: MonotonicTime
    /// When something last moved, and what it had come to.
    private var changedAt: MonotonicTime
    private var lastCount: UInt64 = 0

    /// No handshake comes to its end for so long: they stand still.
    static let handshakeTimeout = Duration.seconds(15)
    /// However slowly it comes.
    static let drainLimit = Duration.seconds(60)
    static let settleLimit = Duration.seconds(15)
    private static let settleQuietTime = Duration.milliseconds(500)

    init(_ plan: LoadPlan, start: MonotonicTime) {
        self.plan = plan
        self.phaseStart = start
        self.changedAt = start
    }

    var isPublishing: Bool { self.phase == .warmingUp || self.phase == .measuring }

    /// To be called until it answers nil: one edge may follow another at once.
    mutating func advance(_ reading: Observation) -> PhaseChange? {
        while true {
            let phase = self.phase
            if let edge = self.step(reading) { return edge }
            if self.phase == phase { return nil }
        }
    }

    private mutating func step(_ reading: Observation) -> PhaseChange? {
        let elapsed = reading.now.since(self.phaseStart)
        switch self.phase {
        case .connecting:
            return self.connect(reading)
        case .settling:
            let stillness = self.timeSinceChange(of: reading.frames, at: reading.now)
            guard elapsed >= self.plan.settle,
                stillness >= min(Self.settleQuietTime, self.plan.settle)
                    || elapsed >= Self.settleLimit
            else {
                return nil
            }
            switch self.plan.scenario {
            case .connect: self.begin(.ended, reading)
            case .idle: self.begin(.idle, reading)
            case .broadcast, .groups, .send:
                self.begin(self.plan.warmup > .zero ? .warmingUp : .pausingBeforeMeasuring, reading)
            }
            return .connectionsSettled
        case .idle:
            guard elapsed >= self.plan.duration else { return nil }
            self.begin(.ended, reading)
            return .idleEnded
        case .warmingUp:
            guard elapsed >= self.plan.warmup else { return nil }
            self.begin(.drainingWarmup, reading)
            return nil
        case .drainingWarmup:
            guard self.isDrained(reading, elapsed) else { return nil }
            self.begin(.pausingBeforeMeasuring, reading)
            return nil
        case .pausingBeforeMeasuring:
            guard elapsed >= .milliseconds(200) else { return nil }
            self.begin(.measuring, reading)
            return .measuringBegan
        case .measuring:
            guard elapsed >= self.plan.duration else { return nil }
            self.begin(.draining, reading)
            return .publishingEnded
        case .draining:
            guard self.isDrained(reading, elapsed) else { return nil }
            self.begin(.pausingAfterMeasuring, reading)
            return nil
        case .pausingAfterMeasuring:
            guard elapsed >= .milliseconds(100) else { return nil }
            self.begin(.watchingForRepeats, reading)
            return .measuringEnded
        case .watchingForRepeats:
            guard elapsed >= .milliseconds(300) else { return nil }
            self.begin(.ended, reading)
            return nil
        case .ended:
            return .ended
        }
    }

    private mutating func connect(_ reading: Observation) -> PhaseChange? {
        let decided = reading.open + reading.refused + reading.lost
        guard decided < self.plan.connections else {
            if reading.open == self.plan.connections {
                self.begin(.settling, reading)
            } else {
                // A figure with a connection missing is not a figure.
                self.begin(.ended, reading)
            }
            return nil
        }
        let failures = reading.refused + reading.lost
        if failures > 50, failures > reading.open {
            self.stallReason = "most connections are refused."
            self.begin(.ended, reading)
        } else if self.timeSinceChange(of: UInt64(decided), at: reading.now)
            >= Self.handshakeTimeout
        {
            self.stallReason =
                "handshakes stand still, and \(reading.open) of \(self.plan.connections) connections are open."
            self.begin(.ended, reading)
        }
        return nil
    }

    private mutating func isDrained(_ reading: Observation, _ elapsed: Duration) -> Bool {
        reading.received >= reading.expected || elapsed >= Self.drainLimit
            || self.timeSinceChange(of: reading.received + reading.repeated, at: reading.now)
                >= self.plan.lossTimeout
    }

    /// How long ago the count has moved.
    private mutating func timeSinceChange(of count: UInt64, at now: MonotonicTime) -> Duration {
        if count != self.lastCount {
            self.lastCount = count
            self.changedAt = now
        }
        return now.since(self.changedAt)
    }

    private mutating func begin(_ phase: Phase, _ reading: Observation) {
        self.phase = phase
        self.phaseStart = reading.now
        self.changedAt = reading.now
    }
}
