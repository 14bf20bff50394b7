/// Several packets in the body of one polling request or response (Engine.IO protocol v4, "HTTP
/// long-polling", packet encoding).
public enum EnginePayload {
    /// The record separator between two packets. The text of a packet must not contain it.
    public static let separator: UInt8 = 0x1E

    /// Validates a whole payload, so that a request is accepted completely or not at all.
    ///
    /// - Parameter packetLimit: the maximum number of packets.
    /// - Returns: the number of packets, at least one.
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
    /// The offset of the next packet; nil after the last one.
    private var offset: Int? = 0

    /// Creates a reader before the first packet.
    public init() {}

    /// Returns the next packet, or nil after the last one. An empty payload is one empty packet,
    /// which is an error.
    public mutating func next(in bytes: RawSpan) throws(EnginePacketError) -> EnginePacket? {
        guard let start = self.offset else { return nil }
        let end = Self.separatorOffset(in: bytes, from: start) ?? bytes.byteCount
        self.offset = end < bytes.byteCount ? end + 1 : nil
        return try EnginePacket.parse(start..<end, of: bytes)
    }

    /// Finds the next separator, eight bytes at a time.
    private static func separatorOffset(in bytes: RawSpan, from start: Int) -> Int? {
        let ones: UInt64 = 0x0101_0101_0101_0101
        var offset = start
        while offset &+ 8 <= bytes.byteCount {
            // The subtraction marks zero bytes, and a byte equal to the separator becomes zero. The
            // lowest mark is always correct.
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
