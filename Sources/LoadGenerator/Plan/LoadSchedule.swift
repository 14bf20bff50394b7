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
        case resting
        case warmingUp
        case clearing
        case calming
        case measuring
        case draining
        case calmingAgain
        /// What still comes would be a repeat.
        case lingering
        case over
    }

    enum Edge: Equatable {
        case settled
        case restEnds
        case measuringBegins
        case publishingEnds
        case measuringEnds
        case over
    }

    /// What is so at a moment.
    struct Reading {
        var now: MonotonicTime
        /// Connections that are open, refused or gone.
        var open = 0
        var refused = 0
        var gone = 0
        /// Frames of any kind so far.
        var frames: UInt64 = 0
        var expected: UInt64 = 0
        var received: UInt64 = 0
        var repeated: UInt64 = 0
    }

    private(set) var phase = Phase.connecting
    /// Why the run was ended before its time.
    private(set) var stall: String?
    private let plan: LoadPlan
    private var phaseStart: MonotonicTime
    /// When something last moved, and what it had come to.
    private var movedAt: MonotonicTime
    private var lastMoved: UInt64 = 0

    /// No handshake comes to its end for so long: they stand still.
    static let handshakePatience = Duration.seconds(15)
    /// However slowly it comes.
    static let drainLimit = Duration.seconds(60)
    static let settleLimit = Duration.seconds(15)
    private static let settleQuiet = Duration.milliseconds(500)

    init(_ plan: LoadPlan, start: MonotonicTime) {
        self.plan = plan
        self.phaseStart = start
        self.movedAt = start
    }

    var isPublishing: Bool { self.phase == .warmingUp || self.phase == .measuring }

    /// To be called until it answers nil: one edge may follow another at once.
    mutating func advance(_ reading: Reading) -> Edge? {
        while true {
            let phase = self.phase
            if let edge = self.step(reading) { return edge }
            if self.phase == phase { return nil }
        }
    }

    private mutating func step(_ reading: Reading) -> Edge? {
        let elapsed = reading.now.since(self.phaseStart)
        switch self.phase {
        case .connecting:
            return self.connect(reading)
        case .settling:
            let stillness = self.stillness(of: reading.frames, at: reading.now)
            guard elapsed >= self.plan.settle, stillness >= min(Self.settleQuiet, self.plan.settle) || elapsed >= Self.settleLimit else {
                return nil
            }
            switch self.plan.scenario {
            case .connect: self.begin(.over, reading)
            case .idle: self.begin(.resting, reading)
            case .broadcast, .groups, .send: self.begin(self.plan.warmup > .zero ? .warmingUp : .calming, reading)
            }
            return .settled
        case .resting:
            guard elapsed >= self.plan.duration else { return nil }
            self.begin(.over, reading)
            return .restEnds
        case .warmingUp:
            guard elapsed >= self.plan.warmup else { return nil }
            self.begin(.clearing, reading)
            return nil
        case .clearing:
            guard self.isDrained(reading, elapsed) else { return nil }
            self.begin(.calming, reading)
            return nil
        case .calming:
            guard elapsed >= .milliseconds(200) else { return nil }
            self.begin(.measuring, reading)
            return .measuringBegins
        case .measuring:
            guard elapsed >= self.plan.duration else { return nil }
            self.begin(.draining, reading)
            return .publishingEnds
        case .draining:
            guard self.isDrained(reading, elapsed) else { return nil }
            self.begin(.calmingAgain, reading)
            return nil
        case .calmingAgain:
            guard elapsed >= .milliseconds(100) else { return nil }
            self.begin(.lingering, reading)
            return .measuringEnds
        case .lingering:
            guard elapsed >= .milliseconds(300) else { return nil }
            self.begin(.over, reading)
            return nil
        case .over:
            return .over
        }
    }

    private mutating func connect(_ reading: Reading) -> Edge? {
        let decided = reading.open + reading.refused + reading.gone
        guard decided < self.plan.connections else {
            if reading.open == self.plan.connections {
                self.begin(.settling, reading)
            } else {
                // A figure with a connection missing is not a figure.
                self.begin(.over, reading)
            }
            return nil
        }
        let failures = reading.refused + reading.gone
        if failures > 50, failures > reading.open {
            self.stall = "most connections are refused."
            self.begin(.over, reading)
        } else if self.stillness(of: UInt64(decided), at: reading.now) >= Self.handshakePatience {
            self.stall = "handshakes stand still, and \(reading.open) of \(self.plan.connections) connections are open."
            self.begin(.over, reading)
        }
        return nil
    }

    private mutating func isDrained(_ reading: Reading, _ elapsed: Duration) -> Bool {
        reading.received >= reading.expected || elapsed >= Self.drainLimit
            || self.stillness(of: reading.received + reading.repeated, at: reading.now) >= self.plan.patience
    }

    /// How long ago the count has moved.
    private mutating func stillness(of count: UInt64, at now: MonotonicTime) -> Duration {
        if count != self.lastMoved {
            self.lastMoved = count
            self.movedAt = now
        }
        return now.since(self.movedAt)
    }

    private mutating func begin(_ phase: Phase, _ reading: Reading) {
        self.phase = phase
        self.phaseStart = reading.now
        self.movedAt = reading.now
    }
}
