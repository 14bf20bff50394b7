/// One limit as `--limit` takes it.
public struct LimitSpec: Sendable {
    enum Value: Sendable {
        case count(any WritableKeyPath<Limits, Int> & Sendable, ClosedRange<Int>)
        case seconds(any WritableKeyPath<Limits, Duration> & Sendable, ClosedRange<Duration>)
    }

    /// `content-bytes`; its unit is its last word.
    public let name: String
    public let help: String
    let value: Value

    /// Its value among `limits`, as it may be given again.
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
            "\(ValueParsing.text(ofSeconds: range.lowerBound)) to \(ValueParsing.text(ofSeconds: range.upperBound))"
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

/// All limits, in the order in which they are explained.
public enum LimitTable {
    private static let second: ClosedRange<Duration> = .milliseconds(100) ... .seconds(3600)

    public static let all: [LimitSpec] = [
        count("content-bytes", \.contentBytes, 1...1_048_576, "a message's content, as UTF-8"),
        count(
            "message-bytes", \.messageBytes, 256...67_108_864,
            "a request that carries a message, as it came"),
        count("metadata-bytes", \.metadataBytes, 2...1_048_576, "a message's metadata, as it came"),
        count(
            "frame-bytes", \.frameBytes, 1024...67_108_864,
            "a WebSocket message; a longer one closes with 1009"),
        count("json-depth", \.jsonDepth, 4...512, "how deep JSON values may be nested"),
        count(
            "messages-per-second", \.messagesPerSecond, 1...1_000_000,
            "what a connection may send in the long run"),
        count("message-burst", \.messageBurst, 1...1_000_000, "what a connection may send at once"),
        count(
            "outbound-bytes", \.outboundBytes, 65_536...1_073_741_824,
            "what may wait for a slow reader before 1013 closes it"),
        count(
            "ephemeral-bytes", \.ephemeralBytes, 1024...1_073_741_824,
            "what may wait before typing and presence are left out"),
        count("connections", \.connections, 1...10_000_000, "clients of the node at one time"),
        count(
            "connects-per-second", \.connectsPerSecond, 1...1_000_000,
            "new clients in a second; others are told to come again"),
        seconds(
            "ping-seconds", \.ping, second,
            "how often the server pings; at most half of idle-seconds"),
        seconds(
            "idle-seconds", \.idle, .milliseconds(200) ... .seconds(7200),
            "how long a client may be silent before 1001 closes it"),
        seconds(
            "typing-seconds", \.typing, second, "how long somebody types without saying so again"),
        seconds(
            "header-seconds", \.header, second, "how long the head of an HTTP request may take"),
        seconds("body-seconds", \.body, second, "how long the body of an HTTP request may take"),
        count("header-bytes", \.headerBytes, 1024...1_048_576, "the head of an HTTP request"),
        count("body-bytes", \.bodyBytes, 1024...67_108_864, "the body of an HTTP request"),
        count(
            "engineio-ping-interval-ms", \.enginePingInterval, 100...3_600_000,
            "how often Engine.IO pings"),
        count(
            "engineio-ping-timeout-ms", \.enginePingTimeout, 100...3_600_000,
            "how long a pong of Engine.IO may take"),
        count(
            "engineio-connect-timeout-ms", \.engineConnectTimeout, 100...3_600_000,
            "how long a client of Rooms may take to CONNECT"),
        count(
            "engineio-payload-bytes", \.enginePayloadBytes, 1024...67_108_864,
            "the body of a POST of Engine.IO"),
    ]

    static func named(_ name: String) -> LimitSpec? {
        self.all.first { $0.name == name }
    }

    private static func count(
        _ name: String, _ property: any WritableKeyPath<Limits, Int> & Sendable,
        _ range: ClosedRange<Int>, _ help: String
    ) -> LimitSpec {
        LimitSpec(name: name, help: help, value: .count(property, range))
    }

    private static func seconds(
        _ name: String, _ property: any WritableKeyPath<Limits, Duration> & Sendable,
        _ range: ClosedRange<Duration>, _ help: String
    ) -> LimitSpec {
        LimitSpec(name: name, help: help, value: .seconds(property, range))
    }

    /// Takes `NAME=VALUE`. The problem's words follow the option's name.
    static func apply(_ text: String, to limits: inout Limits) throws(ValueProblem) {
        guard let sign = text.firstIndex(of: "=") else {
            throw ValueProblem("\(text.quoted) is no NAME=VALUE")
        }
        let name = String(text[..<sign])
        guard let limit = self.named(name) else {
            let guess =
                Spelling.nearest(to: name, among: self.all.map(\.name)).map {
                    "did you mean \($0)?"
                } ?? "see confab serve --help"
            throw ValueProblem("\(name.quoted) is no limit; \(guess)")
        }
        do throws(ValueProblem) {
            try limit.set(String(text[text.index(after: sign)...]), in: &limits)
        } catch {
            throw ValueProblem("\(name): \(error.reason)")
        }
    }
}
