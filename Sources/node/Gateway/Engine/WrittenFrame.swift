import HTTPWire

/// A frame that this server wrote: complete, unmasked and uncompressed (RFC 6455 section 5.2).
struct WrittenFrame {
    let opcode: WebSocketOpcode
    let payload: Range<Int>
    var end: Int { self.payload.upperBound }

    /// Nil for an incomplete frame.
    init?(_ bytes: UnsafeRawBufferPointer, at start: Int) {
        guard start + 2 <= bytes.count, let opcode = WebSocketOpcode(rawValue: bytes[start] & 0x0F)
        else { return nil }
        var offset = start + 2
        var count = Int(bytes[start + 1])
        switch count {
        case 126:
            guard offset + 2 <= bytes.count else { return nil }
            count = Int(bytes[offset]) << 8 | Int(bytes[offset + 1])
            offset += 2
        case 127:
            guard offset + 8 <= bytes.count else { return nil }
            count = (0..<8).reduce(0) { $0 << 8 | Int(bytes[offset + $1]) }
            offset += 8
        default: break
        }
        guard bytes.count - offset >= count else { return nil }
        self.opcode = opcode
        self.payload = offset..<offset + count
    }

    func closeStatus(in bytes: UnsafeRawBufferPointer) -> (code: UInt16, reason: String) {
        guard self.payload.count >= 2 else { return (1000, "") }
        let code =
            UInt16(bytes[self.payload.lowerBound]) << 8 | UInt16(bytes[self.payload.lowerBound + 1])
        return (code, String(decoding: bytes[self.payload.dropFirst(2)], as: UTF8.self))
    }
}
