/// Percent-encoding of URLs (RFC 3986 section 2.1).
public enum PercentEncoding {
    /// Decodes every `%XX`. Returns nil if an escape is malformed or the result is not UTF-8.
    public static func decode(_ text: some Collection<UInt8>, plusIsSpace: Bool = false) -> String?
    {
        if let decoded = text.withContiguousStorageIfAvailable({ self.decode($0, plusIsSpace) }) {
            return decoded
        }
        return Array(text).withUnsafeBufferPointer { self.decode($0, plusIsSpace) }
    }

    private static func decode(_ text: UnsafeBufferPointer<UInt8>, _ plusIsSpace: Bool) -> String? {
        // Most texts contain no escape. This loop examines all bytes without an early exit, so that
        // the compiler can vectorize it.
        var found: UInt8 = 0
        let space = UInt8(ascii: plusIsSpace ? "+" : "%")
        for byte in text { found |= (byte == UInt8(ascii: "%") ? 1 : 0) | (byte == space ? 1 : 0) }
        guard found != 0 else { return self.text(text.span) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count)
        var iterator = text.makeIterator()
        while let byte = iterator.next() {
            if byte == UInt8(ascii: "%") {
                guard let high = iterator.next().flatMap(Hex.value),
                    let low = iterator.next().flatMap(Hex.value)
                else { return nil }
                bytes.append(high << 4 | low)
            } else {
                bytes.append(plusIsSpace && byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return self.text(bytes.span)
    }

    private static func text(_ bytes: Span<UInt8>) -> String? {
        guard let text = try? UTF8Span(validating: bytes) else { return nil }
        return String(copying: text)
    }

    /// Encodes all bytes except unreserved characters (RFC 3986 section 2.3) as `%XX`.
    public static func encode(_ text: String) -> String {
        var buffer = ByteBuffer(capacity: text.utf8.count)
        buffer.append(percentEncoding: ByteString(text))
        return buffer.text
    }
}

extension ByteBuffer {
    /// Appends the text with all bytes except unreserved characters (RFC 3986 section 2.3) encoded
    /// as `%XX`.
    public mutating func append(percentEncoding text: ByteString) {
        text.withBytes { bytes in
            for byte in bytes {
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
                    self.append(byte)
                default:
                    self.append(UInt8(ascii: "%"))
                    self.append(Hex.upperDigits[Int(byte >> 4)])
                    self.append(Hex.upperDigits[Int(byte & 15)])
                }
            }
        }
    }
}

/// Hexadecimal digits.
public enum Hex {
    static let upperDigits = Array("0123456789ABCDEF".utf8)

    /// The value of the digit, 0 to 15. Nil for any other byte.
    public static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// Encodes each byte as two lower-case digits.
    public static func encode(_ bytes: some Sequence<UInt8>) -> String {
        var text: [UInt8] = []
        for byte in bytes {
            for half in [byte >> 4, byte & 15] {
                text.append(half < 10 ? UInt8(ascii: "0") + half : UInt8(ascii: "a") + half - 10)
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
