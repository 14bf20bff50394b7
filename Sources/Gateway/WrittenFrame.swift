import HTTPWire

/// A frame of the server's, as it was written: whole, not masked, not compressed (RFC 6455 section 5.2).
struct WrittenFrame {
    let opcode: WebSocketOpcode
    let payload: Range<Int>
    var end: Int { self.payload.upperBound }

    /// Nil where not all of one is there.
    init?(_ bytes: UnsafeRawBufferPointer, at start: Int) {
        guard start + 2 <= bytes.count, let opcode = WebSocketOpcode(rawValue: bytes[start] & 0x0F)
        else { return nil }
        var place = start + 2
        var count = Int(bytes[start + 1])
        switch count {
        case 126:
            guard place + 2 <= bytes.count else { return nil }
            count = Int(bytes[place]) << 8 | Int(bytes[place + 1])
            place += 2
        case 127:
            guard place + 8 <= bytes.count else { return nil }
            count = (0..<8).reduce(0) { $0 << 8 | Int(bytes[place + $1]) }
            place += 8
        default: break
        }
        guard bytes.count - place >= count else { return nil }
        self.opcode = opcode
        self.payload = place..<place + count
    }

    /// Whether it must travel in the same answer as the one before it, whenever that was written: what tells a client how far it has come.
    func isOffset(in bytes: UnsafeRawBufferPointer) -> Bool {
        let mark: StaticString = #"42["offset","#
        guard self.opcode == .text, self.payload.count > mark.utf8CodeUnitCount else {
            return false
        }
        return bytes[self.payload].prefix(mark.utf8CodeUnitCount)
            .elementsEqual(
                UnsafeBufferPointer(start: mark.utf8Start, count: mark.utf8CodeUnitCount))
    }

    func closeStatus(in bytes: UnsafeRawBufferPointer) -> (code: UInt16, reason: String) {
        guard self.payload.count >= 2 else { return (1000, "") }
        let code =
            UInt16(bytes[self.payload.lowerBound]) << 8 | UInt16(bytes[self.payload.lowerBound + 1])
        return (code, String(decoding: bytes[self.payload.dropFirst(2)], as: UTF8.self))
    }
}
