/// The fields of a head: places of their names and values in the bytes of that head (RFC 9112 section 5).
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

    /// Where the value of the first field of that name stands, without the blanks around it.
    ///
    /// - Parameter name: in lower case; fields match in any case.
    public func first(_ name: StaticString, in bytes: RawSpan) -> Range<Int>? {
        for place in self.ranges where bytes.matches(lowerCase: name, at: place.name) {
            return place.value
        }
        return nil
    }

    /// The value of the first field of that name.
    ///
    /// - Parameter name: in lower case.
    public func text(_ name: StaticString, in bytes: RawSpan) -> String? {
        self.first(name, in: bytes).map { bytes.text(at: $0) }
    }

    /// The values of all fields of that name, in their order.
    ///
    /// - Parameter name: in lower case.
    public func texts(_ name: StaticString, in bytes: RawSpan) -> [String] {
        var texts: [String] = []
        for place in self.ranges where bytes.matches(lowerCase: name, at: place.name) {
            texts.append(bytes.text(at: place.value))
        }
        return texts
    }

    /// How many fields have that name, which is given in lower case.
    public func count(of name: StaticString, in bytes: RawSpan) -> Int {
        var count = 0
        for place in self.ranges where bytes.matches(lowerCase: name, at: place.name) { count += 1 }
        return count
    }

    /// Whether one of the lists in the fields of that name has the token; both are given in lower case.
    public func contains(_ token: StaticString, in name: StaticString, of bytes: RawSpan) -> Bool {
        for place in self.ranges where bytes.matches(lowerCase: name, at: place.name) {
            if Self.list(at: place.value, of: bytes, contains: token) { return true }
        }
        return false
    }

    /// The values of all fields of that name, joined as one list (RFC 9110 section 5.3); nil when there is none.
    ///
    /// - Parameter name: in lower case.
    public func joined(_ name: StaticString, in bytes: RawSpan) -> String? {
        let values = self.texts(name, in: bytes)
        return values.isEmpty ? nil : values.joined(separator: ", ")
    }

    static func list(at place: Range<Int>, of bytes: RawSpan, contains token: StaticString) -> Bool
    {
        var start = place.lowerBound
        while start <= place.upperBound {
            var end = start
            while end < place.upperBound, bytes[byteAt: end] != UInt8(ascii: ",") { end += 1 }
            if bytes.matches(lowerCase: token, at: bytes.trimmed(start..<end)) { return true }
            start = end + 1
        }
        return false
    }
}

/// What a head says about the message's body and the connection, gathered while its fields are read.
struct HTTPFraming {
    var contentLength: Int?
    var isChunked = false
    var closes = false
    var hostCount = 0
    var host: Range<Int>?
    var expectsContinue = false
    var expectsOther = false
}

extension HTTPFields {
    /// Reads the field lines from `offset` on, up to the empty line that ends the head at `end` (the place behind it).
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
            // A blank at the beginning would continue the line before (obsolete), one before the colon is read differently by
            // different readers (RFC 9112 sections 5.1, 5.2).
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
        case 10 where bytes.matches(lowerCase: "connection", at: name):
            framing.closes = framing.closes || Self.list(at: value, of: bytes, contains: "close")
        case 14 where bytes.matches(lowerCase: "content-length", at: name):
            // Two of them are refused even if they agree: who stands in front may have read another one.
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

    private static func contentLength(_ bytes: RawSpan, _ place: Range<Int>) -> Int? {
        guard !place.isEmpty, place.count <= 18 else { return nil }
        var length = 0
        for offset in place {
            guard isDigit(bytes[byteAt: offset]) else { return nil }
            length = length * 10 + Int(bytes[byteAt: offset] &- 0x30)
        }
        return length
    }
}
