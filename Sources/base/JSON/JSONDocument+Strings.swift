internal import Bytes

extension JSONDocument {
    /// The decoded text of the string. Nil for any other value.
    public func string(_ value: JSONValue, in bytes: RawSpan) -> String? {
        let node = self.nodes[Int(value.index)]
        guard node.kind == .string else { return nil }
        let length = Int(node.end - node.start) - 2
        if !node.hasEscapeOrFraction {
            return bytes.extracting(Int(node.start) + 1..<Int(node.end) - 1).withUnsafeBytes {
                String(decoding: $0, as: UTF8.self)
            }
        }
        return String(unsafeUninitializedCapacity: length) { text in
            var count = 0
            Self.decode(node, in: bytes) { byte in
                text.initializeElement(at: count, to: byte)
                count += 1
                return true
            }
            return count
        }
    }

    /// The number of UTF-8 bytes of the decoded string, computed without creating it. 0 for any
    /// other value.
    public func decodedByteCount(_ value: JSONValue, in bytes: RawSpan) -> Int {
        let node = self.nodes[Int(value.index)]
        guard node.kind == .string else { return 0 }
        guard node.hasEscapeOrFraction else { return Int(node.end - node.start) - 2 }
        var count = 0
        Self.decode(node, in: bytes) { _ in
            count += 1
            return true
        }
        return count
    }

    /// Whether the value is a string that is equal to `text`. Allocates nothing.
    public func equals(_ value: JSONValue, _ text: StaticString, in bytes: RawSpan) -> Bool {
        let node = self.nodes[Int(value.index)]
        return node.kind == .string && self.equals(node, text, in: bytes)
    }

    @inline(__always)
    func equals(_ string: ValueNode, _ text: StaticString, in bytes: RawSpan) -> Bool {
        if !string.hasEscapeOrFraction {
            return bytes.matches(text, from: Int(string.start) + 1, to: Int(string.end) - 1)
        }
        return Self.equalsDecoded(string, text, in: bytes)
    }

    @inline(never)
    private static func equalsDecoded(_ string: ValueNode, _ text: StaticString, in bytes: RawSpan)
        -> Bool
    {
        var count = 0
        Self.decode(string, in: bytes) { byte in
            guard count < text.utf8CodeUnitCount, text.utf8Start[count] == byte else {
                count = -1
                return false
            }
            count += 1
            return true
        }
        return count == text.utf8CodeUnitCount
    }

    /// Passes the decoded UTF-8 bytes to `body` one by one, until `body` returns false.
    private static func decode(_ string: ValueNode, in bytes: RawSpan, _ body: (UInt8) -> Bool) {
        var offset = Int(string.start) + 1
        let end = Int(string.end) - 1
        while offset < end {
            let byte = bytes[byteAt: offset]
            guard byte == UInt8(ascii: "\\") else {
                guard body(byte) else { return }
                offset += 1
                continue
            }
            // After a successful parse all escapes are valid, unless the caller passes other bytes.
            guard let scalar = try? Self.scalar(ofEscapeIn: bytes, &offset) else { return }
            for byte in Unicode.UTF8.encode(scalar)! {
                guard body(byte) else { return }
            }
        }
    }

    /// Skips the string at `offset` and returns whether it has escapes.
    @inline(__always)
    static func skipString(_ bytes: RawSpan, _ offset: inout Int) throws(JSONError) -> Bool {
        offset += 1
        var hasEscapes = false
        while true {
            while offset &+ 8 <= bytes.byteCount {
                let plain = ByteWord.plainByteCount(
                    bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
                offset &+= plain
                if plain < 8 { break }
            }
            guard offset < bytes.byteCount else { throw JSONError(.unexpectedEnd, at: offset) }
            let byte = bytes[byteAt: offset]
            if byte == UInt8(ascii: "\"") {
                offset += 1
                return hasEscapes
            }
            if byte >= 0x80 {
                try Self.skipNonASCII(bytes, &offset)
            } else if byte == UInt8(ascii: "\\") {
                hasEscapes = true
                _ = try Self.scalar(ofEscapeIn: bytes, &offset)
            } else if byte < 0x20 {
                throw JSONError(.controlCharacter, at: offset)
            } else {
                offset += 1
            }
        }
    }

    /// Skips the non-ASCII characters at `offset` and rejects invalid UTF-8 (Unicode 16.0, table
    /// 3-7).
    private static func skipNonASCII(_ bytes: RawSpan, _ offset: inout Int) throws(JSONError) {
        while offset < bytes.byteCount {
            let first = bytes[byteAt: offset]
            if first < 0x80 { return }
            let remaining = bytes.byteCount &- offset
            let second = remaining > 1 ? bytes[byteAt: offset &+ 1] : 0
            let length: Int
            switch first {
            case 0xC2...0xDF:
                guard second & 0xC0 == 0x80 else { throw JSONError(.badUTF8, at: offset) }
                length = 2
            case 0xE0...0xEF:
                // After E0, the first half of the second byte's range would be an overlong form.
                // After ED, the second half would be a surrogate.
                let range: ClosedRange<UInt8> =
                    first == 0xE0 ? 0xA0...0xBF : first == 0xED ? 0x80...0x9F : 0x80...0xBF
                guard remaining > 2, range.contains(second),
                    bytes[byteAt: offset &+ 2] & 0xC0 == 0x80
                else {
                    throw JSONError(.badUTF8, at: offset)
                }
                length = 3
            case 0xF0...0xF4:
                let range: ClosedRange<UInt8> =
                    first == 0xF0 ? 0x90...0xBF : first == 0xF4 ? 0x80...0x8F : 0x80...0xBF
                guard remaining > 3, range.contains(second),
                    bytes[byteAt: offset &+ 2] & 0xC0 == 0x80,
                    bytes[byteAt: offset &+ 3] & 0xC0 == 0x80
                else { throw JSONError(.badUTF8, at: offset) }
                length = 4
            default:
                throw JSONError(.badUTF8, at: offset)
            }
            offset &+= length
        }
    }

    /// Decodes the escape at `offset` and moves after it. A surrogate pair consists of two escapes.
    private static func scalar(ofEscapeIn bytes: RawSpan, _ offset: inout Int) throws(JSONError)
        -> Unicode.Scalar
    {
        let start = offset
        guard offset + 1 < bytes.byteCount else {
            throw JSONError(.unexpectedEnd, at: bytes.byteCount)
        }
        let character = bytes[byteAt: offset + 1]
        offset += 2
        switch character {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"):
            return Unicode.Scalar(character)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            let unit = try Self.hexUnit(bytes, &offset)
            if let scalar = Unicode.Scalar(unit) { return scalar }
            guard unit < 0xDC00, offset + 1 < bytes.byteCount,
                bytes[byteAt: offset] == UInt8(ascii: "\\"),
                bytes[byteAt: offset + 1] == UInt8(ascii: "u")
            else { throw JSONError(.loneSurrogate, at: start) }
            offset += 2
            let low = try Self.hexUnit(bytes, &offset)
            guard (0xDC00...0xDFFF).contains(low) else {
                throw JSONError(.loneSurrogate, at: start)
            }
            return Unicode.Scalar(0x1_0000 + (unit - 0xD800) << 10 + (low - 0xDC00))!
        default:
            throw JSONError(.badEscape, at: start)
        }
    }

    private static func hexUnit(_ bytes: RawSpan, _ offset: inout Int) throws(JSONError) -> UInt32 {
        guard offset + 4 <= bytes.byteCount else {
            throw JSONError(.unexpectedEnd, at: bytes.byteCount)
        }
        var unit: UInt32 = 0
        for index in 0..<4 {
            guard let digit = Hex.value(bytes[byteAt: offset + index]) else {
                throw JSONError(.badEscape, at: offset + index)
            }
            unit = unit << 4 | UInt32(digit)
        }
        offset += 4
        return unit
    }
}
