/// The beginning of a frame (RFC 6455 section 5.2), read as strictly as its first bytes allow.
struct WebSocketFrameHeader {
    enum FrameHeaderResult {
        /// So many bytes are needed from the frame's first on before more can be said.
        case incomplete(neededByteCount: Int)
        case complete(WebSocketFrameHeader)
    }

    let opcode: WebSocketOpcode
    let isFinal: Bool
    let isCompressed: Bool
    /// Of the header itself.
    let byteCount: Int
    let payloadByteCount: Int
    /// Its first byte in memory is the lowest; 0, which changes nothing, where there is no mask.
    let mask: UInt32

    static func parse(
        _ bytes: UnsafeRawBufferPointer, as role: WebSocketReader.EndpointRole,
        acceptsCompression takesCompression: Bool, frameByteLimit: Int
    ) throws(WebSocketError) -> FrameHeaderResult {
        guard bytes.count >= 2 else { return .incomplete(neededByteCount: 2) }
        let first = bytes[0]
        let second = bytes[1]
        guard first & 0x30 == 0 else { throw .reservedBits }
        guard let opcode = WebSocketOpcode(rawValue: first & 0x0F) else {
            throw .unknownOpcode(first & 0x0F)
        }
        let isCompressed = first & 0x40 != 0
        guard !isCompressed || takesCompression && (opcode == .text || opcode == .binary) else {
            throw .reservedBits
        }
        let isFinal = first & 0x80 != 0
        let isMasked = second & 0x80 != 0
        guard isMasked == (role == .server) else {
            throw role == .server ? .unmaskedClientFrame : .maskedServerFrame
        }
        let shortLength = Int(second & 0x7F)
        if opcode.isControl {
            guard isFinal else { throw .fragmentedControlFrame }
            guard shortLength <= 125 else { throw .controlFrameTooLong }
        }

        let lengthEnd = shortLength == 127 ? 10 : shortLength == 126 ? 4 : 2
        guard bytes.count >= lengthEnd else { return .incomplete(neededByteCount: lengthEnd) }
        let payloadByteCount: Int
        switch shortLength {
        case 127:
            let length = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt64.self))
            guard length > 0xFFFF, length <= UInt64(Int64.max) else { throw .badLength }
            payloadByteCount = Int(length)
        case 126:
            payloadByteCount = Int(
                UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
            guard payloadByteCount > 125 else { throw .badLength }
        default:
            payloadByteCount = shortLength
        }
        guard payloadByteCount <= frameByteLimit else { throw .frameTooBig(limit: frameByteLimit) }

        let byteCount = lengthEnd + (isMasked ? 4 : 0)
        guard bytes.count >= byteCount else {
            return .incomplete(neededByteCount: byteCount + payloadByteCount)
        }
        let mask =
            isMasked
            ? UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: lengthEnd, as: UInt32.self))
            : 0
        return .complete(
            WebSocketFrameHeader(
                opcode: opcode, isFinal: isFinal, isCompressed: isCompressed, byteCount: byteCount,
                payloadByteCount: payloadByteCount, mask: mask))
    }
}
