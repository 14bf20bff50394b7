import EventLoop
import Telemetry

/// What is noted while a run lasts.
struct LoadRecord: Sendable {
    /// What was counted up to a moment.
    struct Counts: Sendable, Equatable {
        var published: UInt64 = 0
        var expected: UInt64 = 0
        var received: UInt64 = 0

        init() {}

        init(_ ledger: DeliveryRecorder) {
            self.published = ledger.published
            self.expected = ledger.expected
            self.received = ledger.received
        }
    }

    let start: MonotonicTime
    let beforeConnecting: UsageSample
    /// When the server had settled after the last connection.
    var afterConnecting: UsageSample?
    /// When the quiet of `idle` was over.
    var afterIdle: UsageSample?
    private(set) var measuringStart: (sample: UsageSample, counts: Counts)?
    private(set) var measuringEnd: (sample: UsageSample, counts: Counts)?
    private(set) var isMeasuring = false
    var publishingStart: MonotonicTime?
    var publishingEnd: MonotonicTime?
    var lastConnect: MonotonicTime
    var longestLag = Duration.zero
    /// In the measured phase.
    var bytesIn: UInt64 = 0
    private(set) var answers: UInt64 = 0
    private(set) var latency = Histogram()
    private(set) var answerLatency = Histogram()
    var connectLatency = Histogram()

    init(start: MonotonicTime, before: UsageSample) {
        self.start = start
        self.beforeConnecting = before
        self.lastConnect = start
    }

    mutating func beginMeasuring(_ sample: UsageSample, _ ledger: DeliveryRecorder) {
        self.measuringStart = (sample, Counts(ledger))
        self.publishingStart = .exact
        self.isMeasuring = true
    }

    mutating func endMeasuring(_ sample: UsageSample, _ ledger: DeliveryRecorder) {
        self.measuringEnd = (sample, Counts(ledger))
        self.isMeasuring = false
    }

    /// The edges of what is measured: the messages' phase, or the quiet of `idle`.
    var measuredFrom: UsageSample? { self.measuringStart?.sample ?? self.afterConnecting }
    var measuredTo: UsageSample? {
        self.measuringStart == nil ? self.afterIdle : self.measuringEnd?.sample
    }

    /// A delivery of the measured phase.
    mutating func recordDelivery(latency nanoseconds: Int64, isAnswer: Bool) {
        let latency = UInt64(max(0, nanoseconds))
        self.latency.record(latency)
        guard isAnswer else { return }
        self.answers += 1
        self.answerLatency.record(latency)
    }
}
