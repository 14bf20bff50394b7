extension JSONDocument {
    /// Parses a complete JSON text. It replaces the previous one.
    ///
    /// After an error the document has no value.
    public mutating func parse(_ bytes: RawSpan) throws(JSONError) {
        self.nodes.removeAll(keepingCapacity: true)
        // A frame or a token rarely has more values. Without this, the array would reallocate five
        // times to reach this size.
        if self.nodes.capacity == 0 { self.nodes.reserveCapacity(32) }
        do {
            try self.parseText(bytes)
        } catch {
            self.nodes.removeAll(keepingCapacity: true)
            throw error
        }
    }

    // There is no recursion and no stack. While a container is open, its `next` stores the
    // container around it.
    private mutating func parseText(_ bytes: RawSpan) throws(JSONError) {
        guard bytes.byteCount < Int(Int32.max) else {
            throw JSONError(.tooLong, at: Int(Int32.max))
        }
        if bytes.byteCount >= 3, bytes[byteAt: 0] == 0xEF, bytes[byteAt: 1] == 0xBB,
            bytes[byteAt: 2] == 0xBF
        {
            throw JSONError(.byteOrderMark, at: 0)
        }
        var offset = 0
        var container = -1
        var containerIsObject = false
        var depth = 0
        repeat {
            // A value begins here.
            let opened: Bool
            switch try Self.skipWhitespace(bytes, &offset) {
            case UInt8(ascii: "\""):
                try self.parseString(bytes, &offset)
                opened = false
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                guard depth <= self.depthLimit else {
                    throw JSONError(.tooDeep(limit: self.depthLimit), at: offset)
                }
                containerIsObject = bytes[byteAt: offset] == UInt8(ascii: "{")
                let index = self.nodes.count
                try self.append(
                    containerIsObject ? .object : .array, from: offset, to: offset, next: container)
                container = index
                offset += 1
                opened = true
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                try self.parseNumber(bytes, &offset)
                opened = false
            case UInt8(ascii: "t"):
                try self.parseLiteral("true", .true, bytes, &offset)
                opened = false
            case UInt8(ascii: "f"):
                try self.parseLiteral("false", .false, bytes, &offset)
                opened = false
            case UInt8(ascii: "n"):
                try self.parseLiteral("null", .null, bytes, &offset)
                opened = false
            default:
                throw JSONError(.valueExpected, at: offset)
            }

            // After a value, any number of containers may end. After an opening bracket, only this
            // container may end.
            if opened {
                let byte = try Self.skipWhitespace(bytes, &offset)
                if byte != (containerIsObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
                    if containerIsObject { try self.parseName(bytes, &offset) }
                    continue
                }
            }
            closing: while depth > 0 {
                switch try Self.skipWhitespace(bytes, &offset) {
                case UInt8(ascii: ","):
                    offset += 1
                    if containerIsObject { try self.parseName(bytes, &offset) }
                    break closing
                case let byte where byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]"):
                    guard containerIsObject == (byte == UInt8(ascii: "}")) else {
                        throw JSONError(.mismatchedBracket, at: offset)
                    }
                    offset += 1
                    let outer = Int(self.nodes[container].next)
                    self.nodes[container].next = Int32(truncatingIfNeeded: self.nodes.count)
                    self.nodes[container].end = Int32(truncatingIfNeeded: offset)
                    container = outer
                    depth -= 1
                    if depth > 0 { containerIsObject = self.nodes[container].kind == .object }
                default:
                    throw JSONError(.commaOrEndExpected, at: offset)
                }
            }
        } while depth > 0

        while offset < bytes.byteCount {
            guard Self.isWhitespace(bytes[byteAt: offset]) else {
                throw JSONError(.trailingContent, at: offset)
            }
            offset += 1
        }
    }

    @inline(__always)
    private static func isWhitespace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
    }

    /// Moves to the next byte that is not whitespace and returns it.
    @inline(__always)
    private static func skipWhitespace(_ bytes: RawSpan, _ offset: inout Int) throws(JSONError)
        -> UInt8
    {
        while offset < bytes.byteCount {
            let byte = bytes[byteAt: offset]
            guard Self.isWhitespace(byte) else { return byte }
            offset &+= 1
        }
        throw JSONError(.unexpectedEnd, at: offset)
    }

    @inline(__always)
    private mutating func append(
        _ kind: JSONKind, from start: Int, to end: Int, next: Int,
        hasEscapeOrFraction: Bool = false
    ) throws(JSONError) {
        guard self.nodes.count < self.valueLimit else {
            throw JSONError(.tooManyValues(limit: self.valueLimit), at: start)
        }
        self.nodes.append(
            ValueNode(
                start: Int32(truncatingIfNeeded: start), end: Int32(truncatingIfNeeded: end),
                next: Int32(truncatingIfNeeded: next), kind: kind,
                hasEscapeOrFraction: hasEscapeOrFraction))
    }

    @inline(__always)
    private mutating func parseName(_ bytes: RawSpan, _ offset: inout Int) throws(JSONError) {
        guard try Self.skipWhitespace(bytes, &offset) == UInt8(ascii: "\"") else {
            throw JSONError(.nameExpected, at: offset)
        }
        try self.parseString(bytes, &offset)
        guard try Self.skipWhitespace(bytes, &offset) == UInt8(ascii: ":") else {
            throw JSONError(.colonExpected, at: offset)
        }
        offset += 1
    }

    private mutating func parseLiteral(
        _ word: StaticString, _ kind: JSONKind, _ bytes: RawSpan, _ offset: inout Int
    ) throws(JSONError) {
        let end = offset + word.utf8CodeUnitCount
        guard end <= bytes.byteCount, bytes.matches(word, from: offset, to: end) else {
            throw JSONError(.valueExpected, at: offset)
        }
        try self.append(kind, from: offset, to: end, next: self.nodes.count + 1)
        offset = end
    }

    private mutating func parseNumber(_ bytes: RawSpan, _ offset: inout Int) throws(JSONError) {
        let start = offset
        if bytes[byteAt: offset] == UInt8(ascii: "-") { offset += 1 }
        let firstDigit = offset
        try Self.skipDigits(bytes, &offset)
        if bytes[byteAt: firstDigit] == UInt8(ascii: "0"), offset > firstDigit + 1 {
            throw JSONError(.badNumber, at: firstDigit)
        }
        var hasEscapeOrFraction = false
        if offset < bytes.byteCount, bytes[byteAt: offset] == UInt8(ascii: ".") {
            hasEscapeOrFraction = true
            offset += 1
            try Self.skipDigits(bytes, &offset)
        }
        if offset < bytes.byteCount, bytes[byteAt: offset] | 0x20 == UInt8(ascii: "e") {
            hasEscapeOrFraction = true
            offset += 1
            if offset < bytes.byteCount,
                bytes[byteAt: offset] == UInt8(ascii: "+")
                    || bytes[byteAt: offset] == UInt8(ascii: "-")
            {
                offset += 1
            }
            try Self.skipDigits(bytes, &offset)
        }
        try self.append(
            .number, from: start, to: offset, next: self.nodes.count + 1,
            hasEscapeOrFraction: hasEscapeOrFraction)
    }

    private static func skipDigits(_ bytes: RawSpan, _ offset: inout Int) throws(JSONError) {
        let start = offset
        while offset < bytes.byteCount, bytes[byteAt: offset] &- 0x30 < 10 { offset &+= 1 }
        guard offset > start else {
            throw JSONError(offset < bytes.byteCount ? .badNumber : .unexpectedEnd, at: offset)
        }
    }

    @inline(__always)
    private mutating func parseString(_ bytes: RawSpan, _ offset: inout Int) throws(JSONError) {
        let start = offset
        let hasEscapes = try Self.skipString(bytes, &offset)
        try self.append(
            .string, from: start, to: offset, next: self.nodes.count + 1,
            hasEscapeOrFraction: hasEscapes)
    }
}
