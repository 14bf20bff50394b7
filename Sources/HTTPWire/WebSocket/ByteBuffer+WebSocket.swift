public import Bytes

extension ByteBuffer {
    /// The most bytes that the header of an unmasked frame has.
    public static let webSocketHeaderByteLimit = 10

    /// How many bytes a frame's header has.
    public static func webSocketHeaderByteCount(payloadByteCount: Int, isMasked: Bool = false)
        -> Int
    {
        (payloadByteCount <= 125 ? 2 : payloadByteCount <= 0xFFFF ? 4 : 10) + (isMasked ? 4 : 0)
    }

    /// A frame's header (RFC 6455 section 5.2).
    ///
    /// - Parameter mask: a client's, in the byte order of the wire, lowest byte first; the payload must be masked by the caller.
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

    /// A whole frame.
    ///
    /// - Parameter mask: what a client must give and a server must not: fresh chance for every frame.
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

    /// A whole frame with a text.
    public mutating func append(webSocketText text: String, mask: UInt32? = nil) {
        var text = text
        text.withUTF8 {
            self.append(webSocketFrame: .text, payload: UnsafeRawBufferPointer($0), mask: mask)
        }
    }

    /// A close frame. The reason is cut at a character's end where it does not fit into 123 bytes.
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

    /// Leaves room for the header of a frame whose payload is written next; answers where the room begins.
    public mutating func reserveWebSocketHeader() -> Int {
        let start = self.count
        for _ in 0..<Self.webSocketHeaderByteLimit { self.append(0) }
        return start
    }

    /// Writes the header of the payload that begins behind the room at `start`, right in front of it.
    ///
    /// - Returns: where the whole frame lies. A short header leaves bytes in front of it that do not belong to it.
    public mutating func finishWebSocketFrame(
        _ opcode: WebSocketOpcode, reservedAt start: Int, isCompressed: Bool = false
    ) -> Range<Int> {
        let payloadStart = start + Self.webSocketHeaderByteLimit
        let payloadByteCount = self.count - payloadStart
        var place = payloadStart - Self.webSocketHeaderByteCount(payloadByteCount: payloadByteCount)
        let frame = place..<self.count
        self.bytes[place] = 0x80 | (isCompressed ? 0x40 : 0) | opcode.rawValue
        self.bytes[place + 1] =
            payloadByteCount <= 125
            ? UInt8(payloadByteCount) : payloadByteCount <= 0xFFFF ? 126 : 127
        place += 2
        while place < payloadStart {
            self.bytes[place] = UInt8(
                truncatingIfNeeded: payloadByteCount >> (8 * (payloadStart - place - 1)))
            place += 1
        }
        return frame
    }
}
