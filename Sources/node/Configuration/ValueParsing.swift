internal import Bytes

/// Parsers for single values. Most functions return a parser for one option.
enum ValueParsing {
    static func text(_ text: String) throws(ValueProblem) -> String {
        guard !text.isEmpty else { throw ValueProblem("must not be empty") }
        return text
    }

    static func optionalText(_ text: String) throws(ValueProblem) -> String? {
        try self.text(text)
    }

    static func integer(in range: ClosedRange<Int>)
        -> @Sendable (String) throws(ValueProblem) -> Int
    {
        { (text: String) throws(ValueProblem) in
            guard let number = self.digits(text) else {
                throw ValueProblem("\(text.quoted) is not a whole number")
            }
            guard range.contains(number) else {
                throw ValueProblem("\(text.escaped) is not \(self.description(for: range))")
            }
            return number
        }
    }

    static func optionalInteger(in range: ClosedRange<Int>)
        -> @Sendable (String) throws(ValueProblem) -> Int?
    {
        let parse = self.integer(in: range)
        return { (text: String) throws(ValueProblem) in try parse(text) }
    }

    /// Seconds, with up to three decimals.
    static func seconds(in range: ClosedRange<Duration>)
        -> @Sendable (String) throws(ValueProblem) -> Duration
    {
        { (text: String) throws(ValueProblem) in
            guard let duration = self.duration(seconds: text) else {
                throw ValueProblem("\(text.quoted) is not a number of seconds")
            }
            guard range.contains(duration) else {
                throw ValueProblem(
                    """
                    \(text.escaped) seconds is not between \
                    \(self.text(ofSeconds: range.lowerBound)) and \
                    \(self.text(ofSeconds: range.upperBound))
                    """
                )
            }
            return duration
        }
    }

    static func optionalSeconds(in range: ClosedRange<Duration>)
        -> @Sendable (String) throws(ValueProblem) -> Duration?
    {
        let parse = self.seconds(in: range)
        return { (text: String) throws(ValueProblem) in try parse(text) }
    }

    /// `90s`, `30m`, `1h`, `7d`.
    static func lifetime(_ text: String) throws(ValueProblem) -> Duration {
        let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let unit = text.last.flatMap({ units[$0] }),
            let number = self.digits(String(text.dropLast())), number > 0
        else {
            throw ValueProblem("\(text.quoted) is not a time such as 90s, 30m, 1h or 7d")
        }
        guard number <= 3_650 * 86_400 / unit else {
            throw ValueProblem("\(text.escaped) is more than ten years")
        }
        return .seconds(number * unit)
    }

    static func toggle(_ text: String) throws(ValueProblem) -> Bool {
        switch text {
        case "on": return true
        case "off": return false
        default: throw ValueProblem("\(text.quoted) is neither on nor off")
        }
    }

    /// One of an enum's raw values.
    static func choice<Value: RawRepresentable<String> & CaseIterable & Sendable>(
        _ type: Value.Type
    ) -> @Sendable (String) throws(ValueProblem) -> Value {
        { (text: String) throws(ValueProblem) in
            if let value = Value(rawValue: text) { return value }
            throw Self.noChoice(text, among: Value.allCases.map(\.rawValue))
        }
    }

    /// One of these words.
    static func choice(of words: [String]) -> @Sendable (String) throws(ValueProblem) -> String {
        { (text: String) throws(ValueProblem) in
            guard words.contains(text) else { throw Self.noChoice(text, among: words) }
            return text
        }
    }

    private static func noChoice(_ text: String, among words: [String]) -> ValueProblem {
        let hint = Spelling.nearest(to: text, among: words).map { "; did you mean \($0)?" } ?? ""
        return ValueProblem(
            "\(text.quoted) is not one of \(words.joined(separator: ", "))\(hint)")
    }

    /// 1 to `limit` characters of `A-Z a-z 0-9` and `others`.
    static func name(_ others: String, upTo limit: Int)
        -> @Sendable (String) throws(ValueProblem) -> String
    {
        { (text: String) throws(ValueProblem) in
            guard (1...limit).contains(text.utf8.count),
                text.utf8.allSatisfy({ $0.isASCIILetterOrDigit || others.utf8.contains($0) })
            else {
                throw ValueProblem(
                    """
                    \(text.quoted) is not 1 to \(limit) of the characters A-Z a-z 0-9 \
                    \(others.map(String.init).joined(separator: " "))
                    """
                )
            }
            return text
        }
    }

    /// A user id, agent id or display name (`NameRule`).
    static func person(_ text: String) throws(ValueProblem) -> String {
        guard NameRule.allows(text, limit: 128) else {
            throw ValueProblem("\(text.quoted) is not 1 to 128 \(NameRule.text)")
        }
        return text
    }

    /// The id of a user that may be older than `NameRule`.
    static func existingPerson(_ text: String) throws(ValueProblem) -> String {
        guard NameRule.allowsExisting(text, limit: 128) else {
            throw ValueProblem("\(text.quoted) is not 1 to 128 \(NameRule.existingText)")
        }
        return text
    }

    static func optional<Value>(
        _ parse: @escaping @Sendable (String) throws(ValueProblem) -> Value
    ) -> @Sendable (String) throws(ValueProblem) -> Value? {
        { (text: String) throws(ValueProblem) in try parse(text) }
    }

    static func one<Value>(
        _ parse: @escaping @Sendable (String) throws(ValueProblem) -> Value
    ) -> @Sendable (String) throws(ValueProblem) -> [Value] {
        { (text: String) throws(ValueProblem) in [try parse(text)] }
    }

    /// Several values, with commas between them.
    static func list<Value>(
        _ parse: @escaping @Sendable (String) throws(ValueProblem) -> Value
    ) -> @Sendable (String) throws(ValueProblem) -> [Value] {
        { (text: String) throws(ValueProblem) in
            var values: [Value] = []
            for part in text.split(separator: ",", omittingEmptySubsequences: false) {
                values.append(try parse(String(part)))
            }
            return values
        }
    }

    /// The caller checks the range.
    static func digits(_ text: String) -> Int? {
        let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int(text) ?? (text.hasPrefix("-") ? Int.min : Int.max)
    }

    static func duration(seconds text: String) -> Duration? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = self.digits(String(parts[0])), (0...1_000_000_000).contains(whole),
            !text.hasPrefix("-")
        else { return nil }
        guard parts.count == 2 else { return .seconds(whole) }
        guard (1...3).contains(parts[1].utf8.count), let fraction = self.digits(String(parts[1])),
            fraction >= 0
        else { return nil }
        return .seconds(whole) + .milliseconds(fraction * [100, 10, 1][parts[1].utf8.count - 1])
    }

    /// The shortest text that `duration(seconds:)` parses to the same value.
    static func text(ofSeconds duration: Duration) -> String {
        let milliseconds = Int(duration / .milliseconds(1))
        guard milliseconds % 1000 != 0 else { return String(milliseconds / 1000) }
        var fraction = String(String(milliseconds % 1000 + 1000).dropFirst())
        while fraction.hasSuffix("0") { fraction.removeLast() }
        return "\(milliseconds / 1000).\(fraction)"
    }

    static func description(for range: ClosedRange<Int>) -> String {
        range.upperBound == Int.max
            ? "at least \(range.lowerBound)" : "between \(range.lowerBound) and \(range.upperBound)"
    }
}

extension UInt8 {
    var isASCIILetterOrDigit: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
}
