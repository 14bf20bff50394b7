/// Several packets in the body of one polling request or answer (Engine.IO protocol v4, "HTTP long-polling", packet encoding).
public enum EnginePayload {
    /// What stands between two packets: the record separator. No packet's text may hold it.
    public static let separator: UInt8 = 0x1E

    /// Checks a whole payload, so that a request can be taken whole or not at all.
    ///
    /// - Parameter packetLimit: how many packets it may have.
    /// - Returns: how many it has, at least one.
    public static func validate(_ bytes: RawSpan, packetLimit: Int) throws(EnginePacketError) -> Int
    {
        var reader = EnginePayloadReader()
        var count = 0
        while try reader.next(in: bytes) != nil {
            count += 1
            guard count <= packetLimit else { throw .tooManyPackets(limit: packetLimit) }
        }
        let isText = bytes.withUnsafeBytes { raw in
            do {
                _ = try UTF8Span(validating: raw.bindMemory(to: UInt8.self).span)
                return true
            } catch {
                return false
            }
        }
        guard isText else { throw .notUTF8 }
        return count
    }
}

/// Reads a payload packet by packet, each byte once.
public struct EnginePayloadReader: Sendable {
    /// Where the next packet begins; nil behind the last one.
    private var offset: Int? = 0

    /// A reader before the first packet.
    public init() {}

    /// The next packet; nil when there is none left. A payload without a byte is one empty packet, which is an error.
    public mutating func next(in bytes: RawSpan) throws(EnginePacketError) -> EnginePacket? {
        guard let start = self.offset else { return nil }
        let end = Self.separatorOffset(in: bytes, from: start) ?? bytes.byteCount
        self.offset = end < bytes.byteCount ? end + 1 : nil
        return try EnginePacket.parse(start..<end, of: bytes)
    }

    /// Where the next separator is, looked for eight bytes at a time.
    private static func separatorOffset(in bytes: RawSpan, from start: Int) -> Int? {
        let ones: UInt64 = 0x0101_0101_0101_0101
        var offset = start
        while offset &+ 8 <= bytes.byteCount {
            // A byte that is the separator becomes zero and borrows; the lowest mark is always right.
            let word = UInt64(
                littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
            let difference = word ^ (ones &* UInt64(EnginePayload.separator))
            let marks = (difference &- ones) & ~difference & (ones &* 0x80)
            if marks != 0 { return offset &+ marks.trailingZeroBitCount >> 3 }
            offset &+= 8
        }
        while offset < bytes.byteCount {
            if bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self) == EnginePayload.separator {
                return offset
            }
            offset &+= 1
        }
        return nil
    }
}
