public import ChatModel

/// The specification of one limit of `--limit`.
public struct LimitSpec: Sendable {
    enum Value: Sendable {
        case count(any WritableKeyPath<Limits, Int> & Sendable, ClosedRange<Int>)
        case seconds(any WritableKeyPath<Limits, Duration> & Sendable, ClosedRange<Duration>)
    }

    /// `content-bytes`; the last word is the unit.
    public let name: String
    public let help: String
    let value: Value
    /// Whether a reload leaves it as it was at the start.
    public let needsRestart: Bool

    /// The value in `limits`, in the form that `--limit` accepts.
    public func text(in limits: Limits) -> String {
        switch self.value {
        case .count(let property, _): String(limits[keyPath: property])
        case .seconds(let property, _): ValueParsing.text(ofSeconds: limits[keyPath: property])
        }
    }

    public var defaultText: String { self.text(in: Limits()) }

    /// `1 to 1048576`.
    public var rangeText: String {
        switch self.value {
        case .count(_, let range): "\(range.lowerBound) to \(range.upperBound)"
        case .seconds(_, let range):
            """
            \(ValueParsing.text(ofSeconds: range.lowerBound)) to \
            \(ValueParsing.text(ofSeconds: range.upperBound))
            """
        }
    }

    fileprivate func copy(from other: Limits, to limits: inout Limits) {
        switch self.value {
        case .count(let property, _): limits[keyPath: property] = other[keyPath: property]
        case .seconds(let property, _): limits[keyPath: property] = other[keyPath: property]
        }
    }

    func set(_ text: String, in limits: inout Limits) throws(ValueProblem) {
        switch self.value {
        case .count(let property, let range):
            limits[keyPath: property] = try ValueParsing.integer(in: range)(text)
        case .seconds(let property, let range):
            limits[keyPath: property] = try ValueParsing.seconds(in: range)(text)
        }
    }
}

/// All limits, in the order of the help.
public enum LimitTable {
    private static let second: ClosedRange<Duration> = .milliseconds(100) ... .seconds(3600)

    public static let all: [LimitSpec] = [
        count("content-bytes", \.contentBytes, 1...1_048_576, "content of a message, as UTF-8"),
        count(
            "message-bytes", \.messageBytes, 256...67_108_864,
            "request with a message"),
        count("metadata-bytes", \.metadataBytes, 2...1_048_576, "metadata of a message"),
        count(
            "frame-bytes", \.frameBytes, 1024...67_108_864,
            "WebSocket message; else close 1009"),
        count(
            "page-bytes", \.pageBytes, 1024...67_108_864,
            "page of messages, of at least one; the rest follows"),
        count("json-depth", \.jsonDepth, 4...512, "nesting depth of JSON values"),
        count(
            "messages-per-second", \.messagesPerSecond, 1...1_000_000,
            "sustained rate of requests per user"),
        count("message-burst", \.messageBurst, 1...1_000_000, "burst of requests per user"),
        count(
            "stored-bytes-per-day", \.storedBytesPerDay, 1024...1_099_511_627_776,
            "what a user can store through the node"),
        count("members", \.members, 1...10_000_000, "members of a conversation"),
        count(
            "outbound-bytes", \.outboundBytes, 65_536...1_073_741_824,
            "unsent bytes before close 1013"),
        count(
            "unfinished-bytes", \.unfinishedBytes, 65_536...1_073_741_824,
            "unfinished input of a user; else 1013 or 503"),
        count(
            "ephemeral-bytes", \.ephemeralBytes, 1024...1_073_741_824,
            "unsent bytes before typing is dropped"),
        count("connections", \.connections, 1...10_000_000, "concurrent clients of the node"),
        count(
            "connections-per-address", \.connectionsPerAddress, 1...10_000_000,
            "clients of one address; default: half"),
        count(
            "connects-per-second", \.connectsPerSecond, 1...1_000_000,
            "new clients per second; others must retry"),
        seconds(
            "ping-seconds", \.ping, second,
            "ping interval; at most half of idle-seconds"),
        seconds(
            "idle-seconds", \.idle, .milliseconds(200) ... .seconds(7200),
            "silence of a client before close 1001"),
        seconds(
            "typing-seconds", \.typing, second, "lifetime of a typing state without renewal"),
        seconds(
            "header-seconds", \.header, second, "time for the head of an HTTP request"),
        seconds(
            "http-idle-seconds", \.httpIdle, .milliseconds(200) ... .seconds(7200),
            "an idle HTTP connection; longer than a proxy's"),
        seconds(
            "body-seconds", \.body, second,
            "time for a request's body or a split message"),
        count("header-bytes", \.headerBytes, 1024...1_048_576, "head of an HTTP request"),
        count("token-bytes", \.tokenBytes, 512...65_536, "a client's token"),
        count("body-bytes", \.bodyBytes, 1024...67_108_864, "body of an HTTP request"),
        count(
            "trace-steps", \.traceSteps, 1024...16_777_216,
            "steps of messages kept per loop",
            needsRestart: true),
        count(
            "webhook-backlog", \.webhookBacklog, 100...10_000_000,
            "waiting events of a webhook; the oldest are given up",
            needsRestart: true),
        count(
            "engineio-ping-interval-ms", \.enginePingInterval, 100...3_600_000,
            "ping interval of Engine.IO",
            needsRestart: true),
        count(
            "engineio-ping-timeout-ms", \.enginePingTimeout, 100...3_600_000,
            "time for an Engine.IO pong",
            needsRestart: true),
        count(
            "engineio-connect-timeout-ms", \.engineConnectTimeout, 100...3_600_000,
            "time for the CONNECT of a Rooms client",
            needsRestart: true),
        count(
            "engineio-payload-bytes", \.enginePayloadBytes, 1024...67_108_864,
            "body of an Engine.IO POST",
            needsRestart: true),
    ]

    /// The limits of a node after a reload: those of the start that need a restart, and the others
    /// as the settings have them.
    public static func reloaded(_ started: Limits, with settings: Limits) -> Limits {
        var limits = started
        for limit in self.all where !limit.needsRestart { limit.copy(from: settings, to: &limits) }
        return limits
    }

    static func named(_ name: String) -> LimitSpec? {
        self.all.first { $0.name == name }
    }

    private static func count(
        _ name: String, _ property: any WritableKeyPath<Limits, Int> & Sendable,
        _ range: ClosedRange<Int>, _ help: String, needsRestart: Bool = false
    ) -> LimitSpec {
        LimitSpec(
            name: name, help: help, value: .count(property, range), needsRestart: needsRestart)
    }

    private static func seconds(
        _ name: String, _ property: any WritableKeyPath<Limits, Duration> & Sendable,
        _ range: ClosedRange<Duration>, _ help: String
    ) -> LimitSpec {
        LimitSpec(
            name: name, help: help, value: .seconds(property, range), needsRestart: false)
    }

    /// Applies `NAME=VALUE`. The reason of an error follows the option's name.
    static func apply(_ text: String, to limits: inout Limits) throws(ValueProblem) {
        guard let sign = text.firstIndex(of: "=") else {
            throw ValueProblem("\(text.quoted) is not NAME=VALUE")
        }
        let name = String(text[..<sign])
        guard let limit = self.named(name) else {
            let suggestion =
                Spelling.nearest(to: name, among: self.all.map(\.name)).map {
                    "did you mean \($0)?"
                } ?? "see confab serve --help"
            throw ValueProblem("\(name.quoted) is not a limit; \(suggestion)")
        }
        do throws(ValueProblem) {
            try limit.set(String(text[text.index(after: sign)...]), in: &limits)
        } catch {
            throw ValueProblem("\(name): \(error.reason)")
        }
    }
}
