import ConfabClient
import Configuration
import JSON

extension BenchmarkReport {
    /// The version of the JSON document. Raise it when a member is removed or changes its meaning.
    static let schemaVersion = 1

    /// The report as a JSON document. Names and units are stable; values that were not measured are
    /// null.
    var json: JSONTree {
        var members: [JSONTree.ObjectMember] = [
            .init("schema_version", .integer(Self.schemaVersion)),
            .init("scenario", .string(self.plan.scenario.rawValue)),
            .init("adapter", .string(self.plan.adapter.name)),
            .init("url", .string(self.plan.urls[0].description)),
            .init("urls", .array(self.plan.urls.map { .string($0.description) })),
            .init("result", .string(self.isGood ? "ok" : "failed")),
            .init("failures", self.failureJSON),
            .init("connections", .integer(self.plan.connections)),
            .init("connected", .integer(self.openConnections)),
            .init("groups", .integer(self.plan.groups)),
            .init("publishers", .integer(self.plan.publishersPerGroup)),
            .init("message_bytes", .integer(self.plan.messageBytes)),
            .init("published", .integer(self.published)),
            .init("deliveries_expected", .integer(self.expected)),
            .init("deliveries", .integer(self.received)),
        ]
        for kind in LoadFailures.Kind.allCases {
            members.append(.init(kind.rawValue, .integer(self.failures.count(of: kind))))
        }
        members += [
            .init("answers", .integer(self.answers)),
            .init("connect_seconds", Self.seconds(self.connectTime)),
            .init("publish_seconds", Self.seconds(self.publishingTime)),
            .init("measured_seconds", Self.seconds(self.measuredTime ?? self.idleTime)),
            .init("max_lag_ms", Self.number(self.longestLag / .milliseconds(1), places: 1)),
            .init("connects_per_second", Self.number(self.connectsPerSecond, places: 0)),
            .init("deliveries_per_second", Self.number(self.rate(of: self.received), places: 0)),
            .init("answers_per_second", Self.number(self.rate(of: self.answers), places: 0)),
            .init(
                "bytes_per_delivery",
                Self.number(
                    self.received > 0 ? Double(self.bytesIn) / Double(self.received) : nil,
                    places: 1)),
            .init("latency_us", Self.latency(self.latency)),
            .init("answer_us", Self.latency(self.answerLatency)),
            .init("connect_us", Self.latency(self.connectLatency)),
            .init("generator_cpu_seconds", Self.seconds(self.generatorCPU)),
            .init("server", self.serverJSON),
            .init("redis", self.redisJSON),
        ]
        return .object(members)
    }

    private var failureJSON: JSONTree {
        .array(self.failures.descriptions.map { .string($0) })
    }

    private var serverJSON: JSONTree {
        guard let server = self.server else { return .null }
        return .object([
            .init("cpu_seconds", Self.seconds(server.measuredCPU)),
            .init("connect_cpu_seconds", Self.seconds(server.connectCPU)),
            .init(
                "cpu_us_per_delivery", Self.number(self.serverMicrosecondsPerDelivery, places: 4)),
            .init("cpu_us_per_message", Self.number(self.serverMicrosecondsPerMessage, places: 3)),
            .init("cpu_us_per_answer", Self.number(self.serverMicrosecondsPerAnswer, places: 3)),
            .init("cpu_us_per_connect", Self.number(self.serverMicrosecondsPerConnect, places: 3)),
            .init(
                "idle_cpu_us_per_connection_second",
                Self.number(self.serverMicrosecondsPerIdleConnectionSecond, places: 4)),
            .init("rss_bytes_before", .integer(server.residentBytesBefore)),
            .init("rss_bytes_connected", Self.integer(server.residentBytesConnected)),
            .init("rss_bytes_after", Self.integer(server.residentBytesAfter)),
            .init("pss_bytes_before", Self.integer(server.proportionalBytesBefore)),
            .init("pss_bytes_connected", Self.integer(server.proportionalBytesConnected)),
            .init("peak_rss_bytes", .integer(server.peakResidentBytes)),
            .init(
                "rss_bytes_per_connection",
                Self.number(self.residentBytesPerConnection, places: 0)),
            .init(
                "pss_bytes_per_connection",
                Self.number(self.proportionalBytesPerConnection, places: 0)),
            .init("threads", .integer(server.threadCount)),
            .init("processes", .array(self.processJSON(server))),
        ])
    }

    private func processJSON(_ server: Server) -> [JSONTree] {
        zip(server.measuredProcessCPU, self.processMicrosecondsPerMessage).map { cpu, perMessage in
            .object([
                .init("cpu_seconds", Self.seconds(cpu)),
                .init("cpu_us_per_message", Self.number(perMessage, places: 3)),
            ])
        }
    }

    private var redisJSON: JSONTree {
        guard let redis = self.redis else { return .null }
        return .object([
            .init("commands", .object(redis.sorted.map { .init($0.name, .integer($0.calls)) })),
            .init("commands_given", .integer(redis.calledByClients)),
            .init("commands_in_scripts", .integer(redis.calledByScripts)),
            .init(
                "commands_per_message",
                Self.number(self.perMessage(redis.calledByClients), places: 4)),
            .init(
                "script_commands_per_message",
                Self.number(self.perMessage(redis.calledByScripts), places: 4)),
            .init("channels", .integer(redis.channelCount)),
        ])
    }

    private static func integer(_ number: UInt64?) -> JSONTree {
        number.map { .integer($0) } ?? .null
    }

    private static func seconds(_ duration: Duration?) -> JSONTree {
        self.number(duration.map { $0 / .seconds(1) }, places: 3)
    }

    private static func number(_ value: Double?, places: Int) -> JSONTree {
        value.map { .number(FixedPoint.text($0, places: places)) } ?? .null
    }

    private static func latency(_ latency: Latency?) -> JSONTree {
        guard let latency else { return .null }
        func microseconds(_ nanoseconds: UInt64) -> JSONTree {
            self.number(Double(nanoseconds) / 1000, places: 1)
        }
        return .object([
            .init("p50", microseconds(latency.median)), .init("p99", microseconds(latency.p99)),
            .init("max", microseconds(latency.maximum)),
        ])
    }
}
