import ConfabClient
import Configuration

extension BenchmarkReport {
    /// The report as text: one line per figure, and the failures at the end.
    var text: String {
        var lines = ReportLines()
        lines.addLine(self.title)
        self.addLoad(to: &lines)
        self.addServer(to: &lines)
        self.addRedis(to: &lines)
        if let cpu = self.generatorCPU {
            lines.addLine("Generator")
            lines.add("CPU", "\(FixedPoint.text(cpu / .seconds(1), places: 2)) s")
        }
        if self.isGood {
            lines.addLine("Nothing was lost, repeated, refused or out of order.")
        } else {
            lines.addLine("FAILED: do not use these figures.")
            for description in self.failures.descriptions { lines.addLine("  " + description) }
        }
        return lines.text
    }

    private func addLoad(to lines: inout ReportLines) {
        lines.add("connections", self.connectionText)
        if self.publishingTime != nil {
            lines.add(
                "published",
                """
                \(Self.count(self.published)) in \(Self.seconds(self.publishingTime)), \
                \(self.plan.messageBytes) bytes each
                """
            )
            lines.add("deliveries", self.deliveryText)
            lines.add(
                "answers",
                self.rate(of: self.answers).map {
                    "\(Self.count(self.answers)), \(Self.whole($0)) a second"
                })
            lines.add("latency", Self.latency(self.latency))
            lines.add("answer latency", Self.latency(self.answerLatency))
            if case .rate = self.plan.pacing {
                lines.add(
                    "longest lag",
                    "\(FixedPoint.text(self.longestLag / .milliseconds(1), places: 1)) ms")
            }
        }
        lines.add(
            "connect latency",
            self.plan.scenario == .connect ? Self.latency(self.connectLatency) : nil)
    }

    private func addServer(to lines: inout ReportLines) {
        guard let server = self.server else { return }
        lines.addLine("Server")
        lines.add(
            "CPU",
            server.measuredCPU.map { "\(FixedPoint.text($0 / .seconds(1), places: 2)) s" })
        if server.measuredProcessCPU.count > 1 {
            lines.add(
                "CPU of each process",
                server.measuredProcessCPU.map {
                    FixedPoint.text($0 / .seconds(1), places: 2) + " s"
                }.joined(separator: ", "))
        }
        lines.add("CPU per delivery", Self.microseconds(self.serverMicrosecondsPerDelivery))
        lines.add("CPU per message", Self.microseconds(self.serverMicrosecondsPerMessage))
        lines.add(
            "CPU per answer",
            self.plan.scenario == .send
                ? Self.microseconds(self.serverMicrosecondsPerAnswer) : nil)
        lines.add(
            "CPU per connect",
            self.plan.scenario == .connect
                ? Self.microseconds(self.serverMicrosecondsPerConnect) : nil)
        lines.add(
            "CPU per idle connection",
            Self.microseconds(self.serverMicrosecondsPerIdleConnectionSecond).map {
                "\($0) a second"
            })
        lines.add("memory", self.memoryText(server))
        lines.add("memory per connection", self.connectionMemoryText)
    }

    private func addRedis(to lines: inout ReportLines) {
        if let redis = self.redis {
            lines.addLine("Redis")
            lines.add("commands by clients", self.commandText(redis.calledByClients))
            lines.add("commands by scripts", self.commandText(redis.calledByScripts))
            lines.add(
                "most frequent",
                redis.sorted.prefix(6).map { "\($0.name) \(Self.count($0.calls))" }.joined(
                    separator: ", "))
            lines.add("channels", Self.count(redis.channelCount))
        } else if self.isRedisCountMissing {
            lines.addLine("Redis")
            lines.add(
                "commands",
                "not counted: Redis was restarted or unavailable, or its statistics were reset"
            )
        }
    }

    private var title: String {
        let groups =
            self.plan.groups == 1
            ? "1 conversation" : "\(Self.count(UInt64(self.plan.groups))) conversations"
        let pacing =
            switch self.plan.pacing {
            case .quiet: ""
            case .rate(let perSecond): ", \(Self.count(UInt64(perSecond))) messages a second"
            case .window(let messages): ", as fast as possible with \(messages) messages in flight"
            case .closedLoop: ", each sends when answered"
            }
        return
            """
            \(self.plan.scenario.rawValue) on \
            \(self.plan.urls.map(\.description).joined(separator: ", ")): \
            \(Self.count(UInt64(self.plan.connections))) connections in \(groups)\(pacing)
            """
    }

    private var connectionText: String {
        let rate = self.connectsPerSecond.map { ", \(Self.whole($0)) a second" } ?? ""
        return
            """
            \(Self.count(UInt64(self.openConnections))) in \(Self.seconds(self.connectTime))\(rate)
            """
    }

    private var deliveryText: String {
        let rate = self.rate(of: self.received).map { ", \(Self.whole($0)) a second" } ?? ""
        let size =
            self.received > 0
            ? ", \(Self.whole(Double(self.bytesIn) / Double(self.received))) bytes each" : ""
        return "\(Self.count(self.received)) of \(Self.count(self.expected))\(rate)\(size)"
    }

    private func commandText(_ count: UInt64) -> String {
        Self.count(count)
            + (self.perMessage(count).map { ", \(FixedPoint.text($0, places: 3)) a message" } ?? "")
    }

    private func memoryText(_ server: Server) -> String {
        var text = "\(Self.mebibytes(server.residentBytesBefore)) empty"
        if let connected = server.residentBytesConnected {
            text += ", \(Self.mebibytes(connected)) connected"
        }
        return text + ", \(Self.mebibytes(server.peakResidentBytes)) at most (RSS)"
    }

    private var connectionMemoryText: String? {
        guard self.plan.scenario == .idle, let resident = self.residentBytesPerConnection else {
            return nil
        }
        let proportional =
            self.proportionalBytesPerConnection.map { ", \(Self.kibibytes($0)) PSS" } ?? ""
        return "\(Self.kibibytes(resident)) RSS\(proportional)"
    }

    private static func count(_ number: UInt64) -> String { FixedPoint.grouped(number) }
    private static func whole(_ number: Double) -> String {
        FixedPoint.text(number, places: 0, groups: true)
    }
    private static func seconds(_ duration: Duration?) -> String {
        FixedPoint.text((duration ?? .zero) / .seconds(1), places: 2) + " s"
    }
    private static func microseconds(_ value: Double?) -> String? {
        value.map { FixedPoint.text($0, places: 2) + " µs" }
    }
    private static func kibibytes(_ bytes: Double) -> String {
        FixedPoint.text(bytes / 1024, places: 2) + " KiB"
    }
    private static func mebibytes(_ bytes: UInt64) -> String {
        FixedPoint.text(Double(bytes) / 1_048_576, places: 1) + " MiB"
    }

    private static func latency(_ latency: Latency?) -> String? {
        guard let latency else { return nil }
        func text(_ nanoseconds: UInt64) -> String {
            nanoseconds < 1_000_000
                ? FixedPoint.text(Double(nanoseconds) / 1000, places: 0) + " µs"
                : FixedPoint.text(Double(nanoseconds) / 1e6, places: 1) + " ms"
        }
        return
            """
            median \(text(latency.median)), 99 % below \(text(latency.p99)), longest \
            \(text(latency.maximum))
            """
    }
}

/// The lines of a report: headings, and names with their values.
private struct ReportLines {
    private(set) var text = ""

    mutating func addLine(_ line: String) { self.text += line + "\n" }

    mutating func add(_ name: String, _ value: String?) {
        guard let value else { return }
        let gap = String(repeating: " ", count: max(1, 26 - name.count))
        self.text += "  " + name + gap + value + "\n"
    }
}
