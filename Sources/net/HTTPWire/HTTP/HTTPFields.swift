/// The fields of a head, stored as ranges in its bytes (RFC 9112 section 5).
public struct HTTPFields: Sendable {
    struct FieldRange: Sendable {
        var nameStart: UInt32
        var nameEnd: UInt32
        var valueStart: UInt32
        var valueEnd: UInt32

        var name: Range<Int> { Int(self.nameStart)..<Int(self.nameEnd) }
        var value: Range<Int> { Int(self.valueStart)..<Int(self.valueEnd) }
    }

    var ranges: [FieldRange] = []

    public var count: Int { self.ranges.count }

    /// The range of the value of the first field with this name, without leading and trailing
    /// blanks.
    ///
    /// - Parameter name: in lower case. Fields match in any case.
    public func first(_ name: StaticString, in bytes: RawSpan) -> Range<Int>? {
        for range in self.ranges where bytes.matches(lowerCase: name, at: range.name) {
            return range.value
        }
        return nil
    }

    /// The value of the first field with this name.
    ///
    /// - Parameter name: in lower case.
    public func text(_ name: StaticString, in bytes: RawSpan) -> String? {
        self.first(name, in: bytes).map { bytes.text(at: $0) }
    }

    /// The values of all fields with this name, in order.
    ///
    /// - Parameter name: in lower case.
    public func texts(_ name: StaticString, in bytes: RawSpan) -> [String] {
        var texts: [String] = []
        for range in self.ranges where bytes.matches(lowerCase: name, at: range.name) {
            texts.append(bytes.text(at: range.value))
        }
        return texts
    }

    /// The number of fields with this name, which must be in lower case.
    public func count(of name: StaticString, in bytes: RawSpan) -> Int {
        var count = 0
        for range in self.ranges where bytes.matches(lowerCase: name, at: range.name) { count += 1 }
        return count
    }

    /// Whether a list in one of the fields with this name contains the token. Both must be in lower
    /// case.
    public func contains(_ token: StaticString, in name: StaticString, of bytes: RawSpan) -> Bool {
        for range in self.ranges where bytes.matches(lowerCase: name, at: range.name) {
            if Self.list(at: range.value, of: bytes, contains: token) { return true }
        }
        return false
    }

    /// The values of all fields with this name, joined as one list (RFC 9110 section 5.3). Nil if
    /// there is none.
    ///
    /// - Parameter name: in lower case.
    public func joined(_ name: StaticString, in bytes: RawSpan) -> String? {
        let values = self.texts(name, in: bytes)
        return values.isEmpty ? nil : values.joined(separator: ", ")
    }

    static func list(at range: Range<Int>, of bytes: RawSpan, contains token: StaticString) -> Bool
    {
        var start = range.lowerBound
        while start <= range.upperBound {
            var end = start
            while end < range.upperBound, bytes[byteAt: end] != UInt8(ascii: ",") { end += 1 }
            if bytes.matches(lowerCase: token, at: bytes.trimmed(start..<end)) { return true }
            start = end + 1
        }
        return false
    }
}

/// The parts of a head that determine the body's length and the end of the connection. They are
/// collected while the fields are parsed.
struct HTTPFraming {
    var contentLength: Int?
    var isChunked = false
    var closes = false
    var hostCount = 0
    var host: Range<Int>?
    var expectsContinue = false
    var expectsOther = false
    var originCount = 0
}

extension HTTPFields {
    /// Parses the field lines from `offset` to the empty line that ends the head. `end` is the
    /// position after the head.
    mutating func parse(_ bytes: RawSpan, from offset: Int, to end: Int, countLimit: Int)
        throws(HTTPError) -> HTTPFraming
    {
        self.ranges.removeAll(keepingCapacity: true)
        var framing = HTTPFraming()
        var offset = offset
        let fieldsEnd = end - 2
        while offset < fieldsEnd {
            let nameStart = offset
            while ByteSet.token.contains(bytes[byteAt: offset]) { offset &+= 1 }
            // A leading blank would continue the previous line (obsolete). Servers interpret a
            // blank before the colon differently. Both are rejected (RFC 9112 sections 5.1, 5.2).
            guard offset > nameStart, bytes[byteAt: offset] == UInt8(ascii: ":") else {
                throw .badRequest("A header field's name is malformed.")
            }
            let name = nameStart..<offset
            let valueStart = offset &+ 1
            offset = bytes.firstControl(from: valueStart, to: fieldsEnd)
            guard bytes[byteAt: offset] == 0x0D, bytes[byteAt: offset &+ 1] == 0x0A else {
                throw .badRequest(
                    "The header field \(bytes.text(at: name)) has a control character in its value."
                )
            }
            let value = bytes.trimmed(valueStart..<offset)
            offset &+= 2
            guard self.ranges.count < countLimit else {
                throw HTTPError(
                    .headerFieldsTooLarge, "The request has more than \(countLimit) header fields.")
            }
            self.ranges.append(
                FieldRange(
                    nameStart: UInt32(truncatingIfNeeded: name.lowerBound),
                    nameEnd: UInt32(truncatingIfNeeded: name.upperBound),
                    valueStart: UInt32(truncatingIfNeeded: value.lowerBound),
                    valueEnd: UInt32(truncatingIfNeeded: value.upperBound)))
            try Self.recordFraming(name, value, bytes, &framing)
        }
        if framing.isChunked, framing.contentLength != nil {
            throw .badRequest("Content-Length and Transfer-Encoding must not come together.")
        }
        return framing
    }

    @inline(__always)
    private static func recordFraming(
        _ name: Range<Int>, _ value: Range<Int>, _ bytes: RawSpan, _ framing: inout HTTPFraming
    ) throws(HTTPError) {
        switch name.count {
        case 4 where bytes.matches(lowerCase: "host", at: name):
            framing.hostCount += 1
            framing.host = value
        case 6 where bytes.matches(lowerCase: "expect", at: name):
            let isContinue = bytes.matches(lowerCase: "100-continue", at: value)
            framing.expectsContinue = framing.expectsContinue || isContinue
            framing.expectsOther = framing.expectsOther || !isContinue
        case 6 where bytes.matches(lowerCase: "origin", at: name):
            framing.originCount += 1
        case 10 where bytes.matches(lowerCase: "connection", at: name):
            framing.closes = framing.closes || Self.list(at: value, of: bytes, contains: "close")
        case 14 where bytes.matches(lowerCase: "content-length", at: name):
            // Two fields are rejected even if they agree: a proxy in front may have used a
            // different one.
            guard framing.contentLength == nil, let length = Self.contentLength(bytes, value) else {
                throw .badRequest("Content-Length must be one decimal number.")
            }
            framing.contentLength = length
        case 17 where bytes.matches(lowerCase: "transfer-encoding", at: name):
            guard !framing.isChunked, bytes.matches(lowerCase: "chunked", at: value) else {
                throw .badRequest("Transfer-Encoding must be chunked and nothing else.")
            }
            framing.isChunked = true
        default:
            return
        }
    }

    private static func contentLength(_ bytes: RawSpan, _ range: Range<Int>) -> Int? {
        guard !range.isEmpty, range.count <= 18 else { return nil }
        var length = 0
        for offset in range {
            guard isDigit(bytes[byteAt: offset]) else { return nil }
            length = length * 10 + Int(bytes[byteAt: offset] &- 0x30)
        }
        return length
    }
}
