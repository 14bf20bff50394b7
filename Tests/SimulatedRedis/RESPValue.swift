/// A reply of Redis, in RESP2.
public enum RESPValue: Hashable, Sendable {
    case status(String)
    case error(String)
    case integer(Int64)
    case bulk([UInt8])
    case null
    case array([RESPValue])
    case nullArray

    static func text(_ text: String) -> RESPValue { .bulk(Array(text.utf8)) }

    static let ok = RESPValue.status("OK")

    /// Appends the bytes that a client receives.
    public func append(to output: inout [UInt8]) {
        func line(_ kind: Character, _ text: some StringProtocol) {
            output += "\(kind)\(text)\r\n".utf8
        }
        switch self {
        case .status(let text): line("+", text)
        case .error(let text): line("-", text)
        case .integer(let number): line(":", String(number))
        case .bulk(let bytes):
            line("$", String(bytes.count))
            output += bytes
            output += "\r\n".utf8
        case .null: line("$", "-1")
        case .nullArray: line("*", "-1")
        case .array(let values):
            line("*", String(values.count))
            for value in values { value.append(to: &output) }
        }
    }
}

/// An error reply.
struct RedisFailure: Error {
    let text: String

    init(_ text: String) { self.text = text }

    static let wrongType = RedisFailure(
        "WRONGTYPE Operation against a key holding the wrong kind of value")
    static let syntax = RedisFailure("ERR syntax error")
    static let notInteger = RedisFailure("ERR value is not an integer or out of range")
    static let notFloat = RedisFailure("ERR value is not a valid float")
}

/// Parses commands: arrays of strings, as clients send them.
struct RESPCommandParser {
    private var bytes: [UInt8] = []
    private var start = 0

    mutating func append(_ more: UnsafeRawBufferPointer) {
        if self.start > 0, self.start == self.bytes.count {
            self.bytes.removeAll(keepingCapacity: true)
            self.start = 0
        }
        self.bytes += more
    }

    /// The next complete command.
    mutating func next() -> [[UInt8]]? {
        var at = self.start
        guard let count = self.number("*", &at) else { return nil }
        var arguments: [[UInt8]] = []
        arguments.reserveCapacity(count)
        for _ in 0..<count {
            guard let length = self.number("$", &at), at + length + 2 <= self.bytes.count else {
                return nil
            }
            arguments.append(Array(self.bytes[at..<at + length]))
            at += length + 2
        }
        self.start = at
        if self.start > 1 << 16 {
            self.bytes.removeFirst(self.start)
            self.start = 0
        }
        return arguments
    }

    private func number(_ kind: Unicode.Scalar, _ at: inout Int) -> Int? {
        guard at < self.bytes.count else { return nil }
        precondition(self.bytes[at] == UInt8(ascii: kind), "A client sent no RESP2 command.")
        var number = 0
        var index = at + 1
        while index + 1 < self.bytes.count, self.bytes[index] != UInt8(ascii: "\r") {
            number = number * 10 + Int(self.bytes[index] - 48)
            index += 1
        }
        guard index + 1 < self.bytes.count else { return nil }
        at = index + 2
        return number
    }
}
