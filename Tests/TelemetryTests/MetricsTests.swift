import Bytes
import Foundation
import TestKit
import TestTraits
import Testing

@testable import Telemetry

extension MetricFamily {
    fileprivate static let sent = MetricFamily(
        "confab_messages_sent_total", .counter, help: "Messages that were stored.")
    fileprivate static let open = MetricFamily(
        "confab_connections", .gauge, help: "Open connections.")
    fileprivate static let lag = MetricFamily(
        "confab_loop_lag_seconds", .histogram(.durations), help: "How late a timer came.")
    fileprivate static let size = MetricFamily(
        "confab_frame_bytes", .histogram(.bytes), help: "Bytes of a frame.")
}

@Suite("Metrics", .ownThread)
struct MetricsTests {
    private func page(_ snapshot: MetricsSnapshot) -> String {
        var buffer = ByteBuffer()
        snapshot.write(to: &buffer)
        return buffer.text
    }

    private var full: MetricsSnapshot {
        var snapshot = MetricsSnapshot()
        snapshot.add(7, to: .sent, labels: ["dialect": "agents"])
        snapshot.add(1, to: .sent, labels: ["dialect": "a \"quoted\"\\\nname"])
        snapshot.add(12, to: .open)
        var lag = Histogram()
        lag.record(.microseconds(3))
        lag.record(.milliseconds(5))
        lag.record(.seconds(100))
        snapshot.add(lag, to: .lag, labels: ["loop": "0"])
        var size = Histogram()
        size.record(64)
        size.record(65)
        snapshot.add(size, to: .size)
        return snapshot
    }

    @Test("are written as help, type and samples, escaped")
    func format() {
        var snapshot = MetricsSnapshot()
        snapshot.add(7, to: .sent, labels: ["dialect": "agents", "loop": "1"])
        snapshot.add(
            0.25, to: MetricFamily("confab_load", .gauge, help: "Back\\slash\nand line."),
            labels: ["n": "a \"b\"\\\n"])
        #expect(
            self.page(snapshot) == """
                # HELP confab_messages_sent_total Messages that were stored.
                # TYPE confab_messages_sent_total counter
                confab_messages_sent_total{dialect="agents",loop="1"} 7
                # HELP confab_load Back\\\\slash\\nand line.
                # TYPE confab_load gauge
                confab_load{n="a \\"b\\"\\\\\\n"} 0.25

                """)
    }

    @Test("publish a histogram in base units, cumulative, up to +Inf")
    func histograms() {
        let page = self.page(self.full)
        #expect(page.contains("confab_loop_lag_seconds_bucket{loop=\"0\",le=\"8.192e-06\"} 1\n"))
        #expect(page.contains("confab_loop_lag_seconds_bucket{loop=\"0\",le=\"+Inf\"} 3\n"))
        #expect(page.contains("confab_loop_lag_seconds_sum{loop=\"0\"} 100.005003\n"))
        #expect(page.contains("confab_loop_lag_seconds_count{loop=\"0\"} 3\n"))
        #expect(
            page.contains(
                "confab_frame_bytes_bucket{le=\"64\"} 1\nconfab_frame_bytes_bucket{le=\"256\"} 2\n")
        )
    }

    @Test("write numbers in Prometheus' format")
    func numbers() {
        var snapshot = MetricsSnapshot()
        for (index, value) in [Double.infinity, -.infinity, .nan, 9_007_199_254_740_991, 1e300, -3]
            .enumerated()
        {
            snapshot.add(value, to: .open, labels: ["n": "\(index)"])
        }
        let values = self.page(snapshot).split(separator: "\n").dropFirst(2).compactMap {
            $0.split(separator: " ").last
        }
        #expect(values == ["+Inf", "-Inf", "NaN", "9007199254740991", "1e+300", "-3"])
    }

    @Test("of several loops are added by family and labels")
    func publishedMetrics() {
        let board = PublishedMetrics(loopCount: 2)
        var other = MetricsSnapshot()
        other.add(5, to: .open)
        other.add(2, to: .sent, labels: ["dialect": "rooms"])
        board.publish(self.full, from: 0)
        board.publish(MetricsSnapshot(), from: 1)
        board.publish(other, from: 1)
        let total = board.total()
        #expect(total.value(of: .open) == 17)
        #expect(total.value(of: .sent, labels: ["dialect": "rooms"]) == 2)
        #expect(total.value(of: .sent, labels: ["dialect": "agents"]) == 7)
        #expect(total.value(of: .sent) == nil)
        #expect(total.histogram(of: .size)?.count == 2)
        #expect(board.snapshot(of: 1) == other)
    }

    @Test("pass promtool's check", .programs)
    func promtool() throws {
        var snapshot = self.full
        try #require(ProcessStatistics()).add(to: &snapshot)
        let checked = try run(
            Checkout.program("promtool"), ["check", "metrics"], input: self.page(snapshot))
        #expect(checked == (.exited(0), "", ""))
    }
}
