/// The header of a frame (RFC 6455 section 5.2). Violations are reported as early as the received
/// bytes allow.
struct WebSocketFrameHeader {
    enum FrameHeaderResult {
        /// More bytes are needed: at least this many, counted from the start of the frame.
        case incomplete(neededByteCount: Int)
        case complete(WebSocketFrameHeader)
    }

    let opcode: WebSocketOpcode
    let isFinal: Bool
    let isCompressed: Bool
    /// The length of the header.
    let byteCount: Int
    let payloadByteCount: Int
    /// The mask, whose first byte in memory is the lowest. 0 without a mask, which changes nothing.
    let mask: UInt32

    static func parse(
        _ bytes: UnsafeRawBufferPointer, as role: WebSocketReader.EndpointRole,
        acceptsCompression: Bool, frameByteLimit: Int
    ) throws(WebSocketError) -> FrameHeaderResult {
        guard bytes.count >= 2 else { return .incomplete(neededByteCount: 2) }
        let first = bytes[0]
        let second = bytes[1]
        guard first & 0x30 == 0 else { throw .reservedBits }
        guard let opcode = WebSocketOpcode(rawValue: first & 0x0F) else {
            throw .unknownOpcode(first & 0x0F)
        }
        let isCompressed = first & 0x40 != 0
        guard !isCompressed || acceptsCompression && (opcode == .text || opcode == .binary) else {
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
