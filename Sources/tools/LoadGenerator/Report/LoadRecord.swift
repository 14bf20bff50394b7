import EventLoop
import Telemetry

/// The measurements of a run in progress.
struct LoadRecord: Sendable {
    /// The counts up to a moment.
    struct Counts: Sendable, Equatable {
        var published: UInt64 = 0
        var expected: UInt64 = 0
        var received: UInt64 = 0

        init() {}

        init(_ recorder: DeliveryRecorder) {
            self.published = recorder.published
            self.expected = recorder.expected
            self.received = recorder.received
        }
    }

    let start: MonotonicTime
    let beforeConnecting: UsageSample
    /// When the server had settled after the last connection.
    var afterConnecting: UsageSample?
    /// At the end of the idle phase.
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

    mutating func beginMeasuring(_ sample: UsageSample, _ recorder: DeliveryRecorder) {
        self.measuringStart = (sample, Counts(recorder))
        self.publishingStart = .exact
        self.isMeasuring = true
    }

    mutating func endMeasuring(_ sample: UsageSample, _ recorder: DeliveryRecorder) {
        self.measuringEnd = (sample, Counts(recorder))
        self.isMeasuring = false
    }

    /// The start and the end of the measurement: the measured phase, or the idle phase.
    var measuredFrom: UsageSample? { self.measuringStart?.sample ?? self.afterConnecting }
    var measuredTo: UsageSample? {
        self.measuringStart == nil ? self.afterIdle : self.measuringEnd?.sample
    }

    /// Records a delivery of the measured phase.
    mutating func recordDelivery(latency nanoseconds: Int64, isAnswer: Bool) {
        let latency = UInt64(max(0, nanoseconds))
        self.latency.record(latency)
        guard isAnswer else { return }
        self.answers += 1
        self.answerLatency.record(latency)
    }
}
