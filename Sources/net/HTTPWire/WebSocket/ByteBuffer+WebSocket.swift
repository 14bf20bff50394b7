public import Bytes

extension ByteBuffer {
    /// The maximum length of the header of an unmasked frame.
    public static let webSocketHeaderByteLimit = 10

    /// The length of a frame's header.
    public static func webSocketHeaderByteCount(payloadByteCount: Int, isMasked: Bool = false)
        -> Int
    {
        (payloadByteCount <= 125 ? 2 : payloadByteCount <= 0xFFFF ? 4 : 10) + (isMasked ? 4 : 0)
    }

    /// Appends a frame header (RFC 6455 section 5.2).
    ///
    /// - Parameter mask: the mask of a client, lowest byte first on the wire. The caller must mask
    ///   the payload.
    public mutating func append(
        webSocketHeader opcode: WebSocketOpcode, payloadByteCount: Int, isFinal: Bool = true,
        isCompressed: Bool = false,
        mask: UInt32? = nil
    ) {
        self.append((isFinal ? 0x80 : 0) | (isCompressed ? 0x40 : 0) | opcode.rawValue)
        let maskBit: UInt8 = mask == nil ? 0 : 0x80
        if payloadByteCount <= 125 {
            self.append(maskBit | UInt8(payloadByteCount))
        } else if payloadByteCount <= 0xFFFF {
            self.append(maskBit | 126)
            self.append(UInt8(truncatingIfNeeded: payloadByteCount >> 8))
            self.append(UInt8(truncatingIfNeeded: payloadByteCount))
        } else {
            self.append(maskBit | 127)
            withUnsafeBytes(of: UInt64(payloadByteCount).bigEndian) { self.append(contentsOf: $0) }
        }
        if let mask { withUnsafeBytes(of: mask.littleEndian) { self.append(contentsOf: $0) } }
    }

    /// Appends a complete frame.
    ///
    /// - Parameter mask: required for a client, forbidden for a server. Each frame needs a new
    ///   random mask.
    public mutating func append(
        webSocketFrame opcode: WebSocketOpcode, payload: UnsafeRawBufferPointer,
        isFinal: Bool = true, isCompressed: Bool = false,
        mask: UInt32? = nil
    ) {
        self.append(
            webSocketHeader: opcode, payloadByteCount: payload.count, isFinal: isFinal,
            isCompressed: isCompressed, mask: mask)
        let start = self.count
        self.append(contentsOf: payload)
        guard let mask else { return }
        self.bytes.withUnsafeMutableBytes {
            _ = WebSocketMask.apply(mask, to: UnsafeMutableRawBufferPointer(rebasing: $0[start...]))
        }
    }

    /// Appends a complete text frame.
    public mutating func append(webSocketText text: String, mask: UInt32? = nil) {
        var text = text
        text.withUTF8 {
            self.append(webSocketFrame: .text, payload: UnsafeRawBufferPointer($0), mask: mask)
        }
    }

    /// Appends a close frame. A reason longer than 123 bytes is cut between characters.
    public mutating func append(
        webSocketClose code: WebSocketCloseCode?, reason: String = "", mask: UInt32? = nil
    ) {
        var payload: [UInt8] = []
        if let code {
            payload = [UInt8(code.rawValue >> 8), UInt8(code.rawValue & 0xFF)]
            for scalar in reason.unicodeScalars {
                guard payload.count + UTF8.width(scalar) <= 125 else { break }
                payload.append(contentsOf: UTF8.encode(scalar)!)
            }
        }
        payload.withUnsafeBytes { self.append(webSocketFrame: .close, payload: $0, mask: mask) }
    }

    /// Reserves space for the header of a frame whose payload is written next. Returns the start of
    /// that space.
    public mutating func reserveWebSocketHeader() -> Int {
        let start = self.count
        for _ in 0..<Self.webSocketHeaderByteLimit { self.append(0) }
        return start
    }

    /// Writes the header directly before the payload. `start` is the start of the space reserved
    /// for it.
    ///
    /// - Returns: the range of the frame. A short header leaves unused bytes before it.
    public mutating func finishWebSocketFrame(
        _ opcode: WebSocketOpcode, reservedAt start: Int, isCompressed: Bool = false
    ) -> Range<Int> {
        let payloadStart = start + Self.webSocketHeaderByteLimit
        let payloadByteCount = self.count - payloadStart
        var offset =
            payloadStart - Self.webSocketHeaderByteCount(payloadByteCount: payloadByteCount)
        let frame = offset..<self.count
        self.bytes[offset] = 0x80 | (isCompressed ? 0x40 : 0) | opcode.rawValue
        self.bytes[offset + 1] =
            payloadByteCount <= 125
            ? UInt8(payloadByteCount) : payloadByteCount <= 0xFFFF ? 126 : 127
        offset += 2
        while offset < payloadStart {
            self.bytes[offset] = UInt8(
                truncatingIfNeeded: payloadByteCount >> (8 * (payloadStart - offset - 1)))
            offset += 1
        }
        return frame
    }
}
