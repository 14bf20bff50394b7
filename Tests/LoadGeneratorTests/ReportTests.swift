import Configuration
import Dialects
import EventLoop
import JSON
import Telemetry
import Testing

@testable import LoadGenerator

@Suite("A report")
struct BenchmarkReportTests {
    private func sample(_ seconds: Double, cpu: Int, resident: UInt64) -> UsageSample {
        UsageSample(
            at: MonotonicTime(nanoseconds: Int64(seconds * 1e9)),
            generatorCPU: .milliseconds(cpu / 2),
            server: ServerSample(
                cpu: .milliseconds(cpu),
                processCPU: [.milliseconds(cpu / 4), .milliseconds(cpu - cpu / 4)],
                residentBytes: resident,
                peakResidentBytes: resident + 1024, proportionalBytes: resident - 512,
                threadCount: 3),
            redis: self.commands(cpu))
    }

    /// Two kinds of commands, each this many times.
    private func commands(_ count: Int) -> CommandSample {
        let rest = "usec=5,usec_per_call=1.00,rejected_calls=0,failed_calls=0"
        return CommandSample(
            stats:
                "# Stats\r\npubsub_channels:2\r\npubsub_patterns:0\r\npubsubshard_channels:1\r\n",
            commandStats: """
                # Commandstats\r
                cmdstat_evalsha:calls=\(count),\(rest)\r
                cmdstat_client|setname:calls=7,\(rest)\r
                cmdstat_xadd:calls=\(3 * count),\(rest)\r\n
                """)
    }

    /// - Parameter lastCommands: the commands at the end; nil if the counts continue.
    private func report(
        failures: LoadFailures = LoadFailures(), lastCommands: CommandSample?? = nil
    ) throws -> BenchmarkReport {
        var options = BenchOptions(.broadcast, urls: ["ws://127.0.0.1:8080/?token=secret"])
        (options.connections, options.publishers) = (4, 1)
        let plan = try LoadPlan(options, name: "test", adapters: DialectList.all.loadAdapters)
        var recorder = DeliveryRecorder(plan)
        var record = LoadRecord(
            start: MonotonicTime(nanoseconds: 0), before: self.sample(0, cpu: 100, resident: 10_000)
        )
        record.lastConnect = MonotonicTime(nanoseconds: 2_000_000_000)
        record.afterConnecting = self.sample(5, cpu: 300, resident: 18_000)
        // The warm-up is not counted.
        _ = recorder.publish(by: 0, in: 0)
        record.beginMeasuring(self.sample(8, cpu: 400, resident: 18_000), recorder)
        for number in 0..<5 as Range<UInt32> {
            _ = recorder.publish(by: 0, in: 0)
            for member in 0..<4 {
                _ = recorder.receive(
                    MessageStamp(group: 0, publisher: 0, number: number + 1, sentAt: 0), by: member)
                record.recordDelivery(latency: 50_000, isAnswer: member == 0)
            }
        }
        record.bytesIn = 2000
        var last = self.sample(10, cpu: 440, resident: 20_000)
        if let lastCommands { last.redis = lastCommands }
        record.endMeasuring(last, recorder)
        return BenchmarkReport(plan, record, failures, openConnections: 4)
    }

    @Test("divides the server's resources by the events of the measured phase")
    func figures() throws {
        let report = try self.report()
        #expect(report.published == 5)
        #expect(report.received == 20)
        #expect(report.answers == 5)
        #expect(report.serverMicrosecondsPerDelivery == 2000)
        #expect(report.serverMicrosecondsPerMessage == 8000)
        #expect(report.serverMicrosecondsPerAnswer == 8000)
        #expect(report.serverMicrosecondsPerConnect == 50_000)
        #expect(report.residentBytesPerConnection == 2000)
        #expect(report.proportionalBytesPerConnection == 2000)
        #expect(report.rate(of: report.received) == 10)
        #expect(report.connectsPerSecond == 2)
        #expect(report.generatorCPU == .milliseconds(20))
        #expect(report.server?.measuredProcessCPU == [.milliseconds(10), .milliseconds(30)])
        #expect(report.processMicrosecondsPerMessage == [2000, 6000])
        #expect(report.redis?.calls == ["evalsha": 40, "xadd": 120])
        #expect(report.redis?.channelCount == 3)
    }

    @Test(
        "states that Redis was not counted if it was reset or unavailable",
        arguments: [3, 0, nil])
    func uncounted(last: Int?) throws {
        let report = try self.report(
            lastCommands: .some(last.map { $0 == 0 ? CommandSample() : self.commands($0) }))
        #expect(report.redis == nil)
        #expect(report.json["redis"] == .null)
        #expect(report.text.contains("Redis\n  commands                  not counted: "))
        #expect(report.isGood)
    }

    @Test("is one JSON document with stable names")
    func json() throws {
        let tree = try JSONTree(parsing: self.report().json.text)
        #expect(tree["schema_version"] == .integer(1))
        #expect(
            tree.members?.map(\.name) == [
                "schema_version", "scenario", "adapter", "url", "urls", "result", "failures",
                "connections", "connected", "groups",
                "publishers", "message_bytes", "published", "deliveries_expected", "deliveries",
                "refused", "closed_early", "lost",
                "repeated", "late", "foreign",
                "out_of_order", "application_errors", "stalled", "answers", "connect_seconds",
                "publish_seconds", "measured_seconds",
                "max_lag_ms", "connects_per_second", "deliveries_per_second", "answers_per_second",
                "bytes_per_delivery", "latency_us",
                "answer_us", "connect_us", "generator_cpu_seconds", "server", "redis",
            ])
        #expect(tree["result"] == .string("ok"))
        #expect(tree["url"] == .string("ws://127.0.0.1:8080/"))
        #expect(tree["deliveries"] == .integer(20))
        #expect(tree["bytes_per_delivery"] == .number("100.0"))
        #expect(tree["measured_seconds"] == .number("2.000"))
        #expect(tree["server"]?["cpu_us_per_delivery"] == .number("2000.0000"))
        #expect(tree["server"]?["cpu_seconds"] == .number("0.040"))
        #expect(tree["server"]?["peak_rss_bytes"] == .integer(21_024))
        #expect(tree["connect_us"] == .null)
        #expect(
            tree["server"]?["processes"]?.elements?.last?["cpu_us_per_message"]
                == .number("6000.000"))
        #expect(tree["redis"]?["commands"]?.members?.map(\.name) == ["xadd", "evalsha"])
        #expect(tree["redis"]?["commands_per_message"] == .number("8.0000"))
        #expect(tree["redis"]?["script_commands_per_message"] == .number("24.0000"))
        #expect(tree["redis"]?["channels"] == .integer(3))
    }

    @Test("declares its figures unusable after a failure, and lists the failures")
    func failure() throws {
        var failures = LoadFailures()
        failures.add(.lost, count: 3)
        failures.add(.refused, example: "no\u{1B}[31m")
        failures.add(.refused, example: "another")
        let report = try self.report(failures: failures)
        #expect(!report.isGood)
        #expect(report.json["result"] == .string("failed"))
        #expect(report.json["refused"] == .integer(2))
        #expect(
            report.json["failures"]
                == .array([
                    .string(#"2 connections were refused. no\u{1b}[31m"#),
                    .string("3 deliveries were lost."),
                ]))
        #expect(
            report.text.contains(
                "FAILED: do not use these figures.\n  2 connections were refused."))
        #expect(!report.text.utf8.contains(0x1B))
    }

    @Test(
        "formats numbers with fixed decimals",
        arguments: [
            (1.005, 2, false, "1.00"), (0, 1, false, "0.0"), (2.5, 0, false, "3"),
            (-1.26, 1, false, "-1.3"), (-0.001, 1, false, "0.0"),
            (1_234_567.891, 1, true, "1,234,567.9"), (999, 0, true, "999"),
            (1000, 0, true, "1,000"), (0.05, 3, false, "0.050"),
            (.nan, 1, false, "0"), (.infinity, 1, false, "0"),
        ] as [(Double, Int, Bool, String)])
    func fixedPoint(value: Double, places: Int, groups: Bool, text: String) {
        #expect(FixedPoint.text(value, places: places, groups: groups) == text)
    }
}
