internal import Bytes

/// Formats one event as one line.
///
/// A value can come from anywhere, for example from a client's header. It must not end the line,
/// move the terminal's cursor or fill the disk.
enum LogLine {
    /// Longer texts are cut, so that the length of a line is bounded.
    static let valueByteLimit = 1024

    static func text(
        _ level: LogLevel, _ name: StaticString, _ fields: LogFields, at time: Timestamp
    ) -> [UInt8] {
        var line = ByteBuffer(capacity: 160)
        line.append(timestamp: time)
        line.append(UInt8(ascii: " "))
        line.append(text: level.rawValue)
        line.append(UInt8(ascii: " "))
        line.append(name)
        for (key, value) in fields where value != .absent {
            line.append(UInt8(ascii: " "))
            line.append(key)
            line.append(UInt8(ascii: "="))
            self.appendText(value, to: &line)
        }
        line.append(UInt8(ascii: "\n"))
        return line.bytes
    }

    static func json(
        _ level: LogLevel, _ name: StaticString, _ fields: LogFields, at time: Timestamp
    ) -> [UInt8] {
        var line = ByteBuffer(capacity: 200)
        line.append("{\"time\":\"")
        line.append(timestamp: time)
        line.append("\",\"level\":\"")
        line.append(text: level.rawValue)
        line.append("\",\"msg\":\"")
        line.append(name)
        line.append(UInt8(ascii: "\""))
        for (key, value) in fields where value != .absent {
            line.append(",\"")
            line.append(key)
            line.append("\":")
            self.appendJSON(value, to: &line)
        }
        line.append("}\n")
        return line.bytes
    }

    /// The text up to the limit, cut between characters.
    private static func bounded(_ text: String) -> String {
        guard text.utf8.count > self.valueByteLimit else { return text }
        var end = text.utf8.index(text.utf8.startIndex, offsetBy: self.valueByteLimit)
        while end.samePosition(in: text.unicodeScalars) == nil {
            end = text.utf8.index(before: end)
        }
        return text[..<end] + "…"
    }

    /// Writes the value without quotes if it reads as one word, otherwise with quotes.
    private static func appendText(_ value: LogValue, to line: inout ByteBuffer) {
        switch value {
        case .text(let text):
            let text = self.bounded(text)
            let isPlain =
                !text.isEmpty
                && !text.unicodeScalars.contains {
                    " =\"\\".unicodeScalars.contains($0) || $0.breaksLine
                }
            if isPlain {
                line.append(text: text)
            } else {
                line.append(quoted: text)
            }
        case .integer(let number): line.append(decimal: number)
        case .number(let number): line.append(text: number.description)
        case .bool(let value): line.append(text: value ? "true" : "false")
        case .duration(let duration):
            line.append(seconds: duration)
            line.append(UInt8(ascii: "s"))
        case .absent: break
        }
    }

    private static func appendJSON(_ value: LogValue, to line: inout ByteBuffer) {
        switch value {
        case .text(let text): line.append(quoted: self.bounded(text))
        case .integer(let number): line.append(decimal: number)
        case .number(let number): line.append(text: number.isFinite ? number.description : "null")
        case .bool(let value): line.append(text: value ? "true" : "false")
        case .duration(let duration): line.append(seconds: duration)
        case .absent: break
        }
    }
}

extension Unicode.Scalar {
    /// Control characters of both sets, line and paragraph separators, and characters that change
    /// the writing direction (Unicode Technical Report 36, section 3.6). The last kind can make a
    /// line display a different text than it contains.
    var breaksLine: Bool {
        switch self.value {
        case 0x00...0x1F, 0x7F...0x9F, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF:
            true
        default: false
        }
    }
}

extension ByteBuffer {
    /// Appends a JSON string that contains no line break or control character but stays readable
    /// for people.
    mutating func append(quoted text: String) {
        self.append(UInt8(ascii: "\""))
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": self.append("\\\"")
            case "\\": self.append("\\\\")
            case "\n": self.append("\\n")
            case "\r": self.append("\\r")
            case "\t": self.append("\\t")
            case _ where scalar.breaksLine:
                self.append("\\u")
                for shift in [12, 8, 4, 0] {
                    let digit = UInt8(truncatingIfNeeded: scalar.value >> UInt32(shift) & 15)
                    self.append(
                        digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
                }
            default:
                for byte in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter {
                    self.append(byte)
                }
            }
        }
        self.append(UInt8(ascii: "\""))
    }

    /// Appends the seconds with three decimals.
    mutating func append(seconds duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let milliseconds = (attoseconds / 1_000_000_000_000_000).magnitude
        if seconds < 0 || attoseconds < 0 { self.append(UInt8(ascii: "-")) }
        self.append(decimal: seconds.magnitude)
        self.append(UInt8(ascii: "."))
        self.append(zeroPadded: Int(milliseconds), digits: 3)
    }
}
