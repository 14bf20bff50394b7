public import Bytes

extension ByteBuffer {
    /// Appends the text as a JSON string in quotes (RFC 8259 section 7). Escapes only the
    /// characters that must be escaped.
    public mutating func append(jsonString text: String) {
        self.append(UInt8(ascii: "\""))
        self.append(jsonEscaped: text)
        self.append(UInt8(ascii: "\""))
    }

    /// Appends the text as a JSON string in quotes.
    public mutating func append(jsonString text: ByteString) {
        self.append(jsonString: text.string)
    }

    /// Appends the text as it appears between the quotes of a JSON string. For strings that are
    /// composed of several parts.
    public mutating func append(jsonEscaped text: String) {
        let wasContiguous: Void? = text.utf8.withContiguousStorageIfAvailable {
            self.appendEscaped($0)
        }
        if wasContiguous == nil {
            Array(text.utf8).withUnsafeBufferPointer { self.appendEscaped($0) }
        }
    }

    private mutating func appendEscaped(_ text: UnsafeBufferPointer<UInt8>) {
        let raw = UnsafeRawBufferPointer(text)
        var copied = 0
        var offset = 0
        while true {
            while offset &+ 8 <= raw.count {
                let plain = ByteWord.plainOrNonASCIIByteCount(
                    raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                offset &+= plain
                if plain < 8 { break }
            }
            guard offset < raw.count else { break }
            let byte = raw[offset]
            if byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
                offset &+= 1
                continue
            }
            self.append(contentsOf: UnsafeRawBufferPointer(rebasing: raw[copied..<offset]))
            self.append(escapeOf: byte)
            offset += 1
            copied = offset
        }
        self.append(contentsOf: UnsafeRawBufferPointer(rebasing: raw[copied...]))
    }

    private mutating func append(escapeOf byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): self.append("\\\"")
        case UInt8(ascii: "\\"): self.append("\\\\")
        case 0x08: self.append("\\b")
        case 0x09: self.append("\\t")
        case 0x0A: self.append("\\n")
        case 0x0C: self.append("\\f")
        case 0x0D: self.append("\\r")
        default:
            self.append("\\u00")
            for half in [byte >> 4, byte & 15] {
                self.append(half < 10 ? UInt8(ascii: "0") + half : UInt8(ascii: "a") + half - 10)
            }
        }
    }
}
