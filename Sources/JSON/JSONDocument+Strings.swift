internal import Bytes

extension JSONDocument {
    /// The string's text with its escapes undone; nil for any other value.
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

    /// How many bytes of UTF-8 `string` would have, without making it; 0 for any other value.
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

    /// Whether the value is a string with exactly this text. Allocates nothing.
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

    /// Hands out the string's UTF-8 with its escapes undone, until `take` answers no.
    private static func decode(_ string: ValueNode, in bytes: RawSpan, _ take: (UInt8) -> Bool) {
        var offset = Int(string.start) + 1
        let end = Int(string.end) - 1
        while offset < end {
            let byte = bytes[byteAt: offset]
            guard byte == UInt8(ascii: "\\") else {
                guard take(byte) else { return }
                offset += 1
                continue
            }
            // What was parsed without an error has only good escapes, unless the caller handed in other bytes.
            guard let scalar = try? Self.scalar(ofEscapeIn: bytes, &offset) else { return }
            for byte in Unicode.UTF8.encode(scalar)! {
                guard take(byte) else { return }
            }
        }
    }

    /// Goes behind a string that begins at `offset`; answers whether it has escapes.
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

    /// Goes behind the characters beyond ASCII at `offset`; refuses what is no UTF-8 (Unicode 16.0, table 3-7).
    private static func skipNonASCII(_ bytes: RawSpan, _ offset: inout Int) throws(JSONError) {
        while offset < bytes.byteCount {
            let first = bytes[byteAt: offset]
            if first < 0x80 { return }
            let left = bytes.byteCount &- offset
            let second = left > 1 ? bytes[byteAt: offset &+ 1] : 0
            let length: Int
            switch first {
            case 0xC2...0xDF:
                guard second & 0xC0 == 0x80 else { throw JSONError(.badUTF8, at: offset) }
                length = 2
            case 0xE0...0xEF:
                // The first half of the second byte's values would be overlong behind E0, the second half surrogates behind ED.
                let range: ClosedRange<UInt8> =
                    first == 0xE0 ? 0xA0...0xBF : first == 0xED ? 0x80...0x9F : 0x80...0xBF
                guard left > 2, range.contains(second), bytes[byteAt: offset &+ 2] & 0xC0 == 0x80
                else {
                    throw JSONError(.badUTF8, at: offset)
                }
                length = 3
            case 0xF0...0xF4:
                let range: ClosedRange<UInt8> =
                    first == 0xF0 ? 0x90...0xBF : first == 0xF4 ? 0x80...0x8F : 0x80...0xBF
                guard left > 3, range.contains(second), bytes[byteAt: offset &+ 2] & 0xC0 == 0x80,
                    bytes[byteAt: offset &+ 3] & 0xC0 == 0x80
                else { throw JSONError(.badUTF8, at: offset) }
                length = 4
            default:
                throw JSONError(.badUTF8, at: offset)
            }
            offset &+= length
        }
    }

    /// What the escape at `offset` stands for; goes behind it, and behind the second one of a surrogate pair.
    private static func scalar(ofEscapeIn bytes: RawSpan, _ offset: inout Int) throws(JSONError)
        -> Unicode.Scalar
    {
        let start = offset
        guard offset + 1 < bytes.byteCount else {
            throw JSONError(.unexpectedEnd, at: bytes.byteCount)
        }
        let letter = bytes[byteAt: offset + 1]
        offset += 2
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"):
            return Unicode.Scalar(letter)
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
        for place in 0..<4 {
            guard let digit = Hex.value(bytes[byteAt: offset + place]) else {
                throw JSONError(.badEscape, at: offset + place)
            }
            unit = unit << 4 | UInt32(digit)
        }
        offset += 4
        return unit
    }
}
