import EventLoop
import Telemetry

/// The results of a run.
///
/// Failures come first, because the figures of a run that lost a message are not valid.
struct BenchmarkReport: Sendable, Equatable {
    /// Delivery times in nanoseconds.
    struct Latency: Sendable, Equatable {
        let median: UInt64
        let p99: UInt64
        let maximum: UInt64

        /// Nil when nothing was recorded.
        init?(_ histogram: Histogram) {
            guard let median = histogram.quantile(0.5), let p99 = histogram.quantile(0.99) else {
                return nil
            }
            self.median = median
            self.p99 = p99
            self.maximum = histogram.maximum
        }
    }

    /// The resources used by the server's process trees, in sum.
    struct Server: Sendable, Equatable {
        /// From before the first connection until the server had settled after the last.
        var connectCPU: Duration?
        /// In the measured phase, from quiet to quiet.
        var measuredCPU: Duration?
        /// The same per process, in the order of the options.
        var measuredProcessCPU: [Duration] = []
        var residentBytesBefore: UInt64
        var residentBytesConnected: UInt64?
        var residentBytesAfter: UInt64?
        var proportionalBytesBefore: UInt64?
        var proportionalBytesConnected: UInt64?
        var peakResidentBytes: UInt64
        var threadCount: Int
    }

    let plan: LoadPlan
    let failures: LoadFailures
    let openConnections: Int
    /// In the measured phase.
    var published: UInt64 = 0
    var expected: UInt64 = 0
    var received: UInt64 = 0
    var answers: UInt64 = 0
    var bytesIn: UInt64 = 0
    /// From the first message to the last.
    var publishingTime: Duration?
    /// From quiet to quiet.
    var measuredTime: Duration?
    var connectTime: Duration
    var idleTime: Duration?
    var longestLag: Duration
    var latency: Latency?
    var answerLatency: Latency?
    var connectLatency: Latency?
    var server: Server?
    /// The Redis commands of the measured phase, and the channels at its end.
    var redis: CommandSample?
    /// The commands were to be counted, but Redis was unavailable or reset its statistics.
    var isRedisCountMissing = false
    /// The CPU time of the load generator in the measured phase.
    var generatorCPU: Duration?

    var isGood: Bool { self.failures.isEmpty }

    init(_ plan: LoadPlan, _ record: LoadRecord, _ failures: LoadFailures, openConnections: Int) {
        self.plan = plan
        self.failures = failures
        self.openConnections = openConnections
        self.connectTime = record.lastConnect.since(record.start)
        self.longestLag = record.longestLag
        self.connectLatency = Latency(record.connectLatency)
        if let start = record.measuringStart, let end = record.measuringEnd {
            self.published = end.counts.published - start.counts.published
            self.expected = end.counts.expected - start.counts.expected
            self.received = end.counts.received - start.counts.received
            self.answers = record.answers
            self.bytesIn = record.bytesIn
            self.measuredTime = end.sample.at.since(start.sample.at)
            self.generatorCPU = end.sample.generatorCPU - start.sample.generatorCPU
            if let from = record.publishingStart, let to = record.publishingEnd {
                self.publishingTime = to.since(from)
            }
            self.latency = Latency(record.latency)
            self.answerLatency = Latency(record.answerLatency)
        }
        if let from = record.afterConnecting, let to = record.afterIdle {
            self.idleTime = to.at.since(from.at)
            self.generatorCPU = to.generatorCPU - from.generatorCPU
        }
        self.server = Self.server(record)
        if let from = record.measuredFrom?.redis, let to = record.measuredTo?.redis {
            self.redis = to.since(from)
        }
        self.isRedisCountMissing =
            record.beforeConnecting.redis != nil && record.measuredTo != nil && self.redis == nil
    }

    private static func server(_ record: LoadRecord) -> Server? {
        guard let before = record.beforeConnecting.server else { return nil }
        let connected = (record.afterIdle ?? record.afterConnecting)?.server
        let last = record.measuringEnd?.sample.server ?? connected ?? before
        var server = Server(
            residentBytesBefore: before.residentBytes,
            residentBytesConnected: connected?.residentBytes,
            residentBytesAfter: record.measuringEnd?.sample.server?.residentBytes,
            proportionalBytesBefore: before.proportionalBytes,
            proportionalBytesConnected: connected?.proportionalBytes,
            peakResidentBytes: last.peakResidentBytes,
            threadCount: last.threadCount)
        server.connectCPU = record.afterConnecting?.server.map { $0.cpu - before.cpu }
        if let from = record.measuredFrom?.server, let to = record.measuredTo?.server {
            server.measuredCPU = to.cpu - from.cpu
            server.measuredProcessCPU = zip(to.processCPU, from.processCPU).map { $0 - $1 }
        }
        return server
    }
}

extension BenchmarkReport {
    /// The server's CPU time in microseconds per item; nil when there are none, or when nothing was
    /// measured.
    static func microseconds(_ cpu: Duration?, per count: Double) -> Double? {
        guard let cpu, count > 0 else { return nil }
        return cpu / .microseconds(1) / count
    }

    var serverMicrosecondsPerDelivery: Double? {
        Self.microseconds(self.server?.measuredCPU, per: Double(self.received))
    }
    var serverMicrosecondsPerMessage: Double? {
        Self.microseconds(self.server?.measuredCPU, per: Double(self.published))
    }
    var processMicrosecondsPerMessage: [Double?] {
        (self.server?.measuredProcessCPU ?? []).map {
            Self.microseconds($0, per: Double(self.published))
        }
    }
    var serverMicrosecondsPerAnswer: Double? {
        Self.microseconds(self.server?.measuredCPU, per: Double(self.answers))
    }
    var serverMicrosecondsPerConnect: Double? {
        Self.microseconds(self.server?.connectCPU, per: Double(self.openConnections))
    }
    var serverMicrosecondsPerIdleConnectionSecond: Double? {
        self.idleTime.flatMap {
            Self.microseconds(
                self.server?.measuredCPU, per: Double(self.openConnections) * ($0 / .seconds(1)))
        }
    }

    var residentBytesPerConnection: Double? {
        Self.difference(
            self.server?.residentBytesBefore, self.server?.residentBytesConnected,
            per: self.openConnections)
    }
    var proportionalBytesPerConnection: Double? {
        Self.difference(
            self.server?.proportionalBytesBefore, self.server?.proportionalBytesConnected,
            per: self.openConnections)
    }

    private static func difference(_ before: UInt64?, _ after: UInt64?, per count: Int) -> Double? {
        guard let before, let after, count > 0 else { return nil }
        return (Double(after) - Double(before)) / Double(count)
    }

    /// Redis commands per message; nil when there were no messages, or when nothing was counted.
    func perMessage(_ commands: UInt64?) -> Double? {
        commands.flatMap { self.published > 0 ? Double($0) / Double(self.published) : nil }
    }

    /// The count per second of measured time.
    func rate(of count: UInt64) -> Double? {
        guard let time = self.measuredTime, time > .zero else { return nil }
        return Double(count) / (time / .seconds(1))
    }

    var connectsPerSecond: Double? {
        self.connectTime > .zero && self.openConnections > 0
            ? Double(self.openConnections) / (self.connectTime / .seconds(1)) : nil
    }
}
