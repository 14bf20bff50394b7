import Bytes
import HTTPWire

/// Encodes frames of WebSockets into a buffer that is reused.
///
/// The frames are not compressed with a context, so one compressor serves all connections.
struct FrameEncoder {
    private(set) var buffer = ByteBuffer(capacity: 4096)
    private let deflater = Deflater()

    var isEmpty: Bool { self.buffer.isEmpty }
    var count: Int { self.buffer.count }

    mutating func removeAll() { self.buffer.removeAll() }

    /// The encoded frames, as one piece.
    var frame: SharedFrame { SharedFrame(self.buffer.bytes) }

    /// Appends one frame.
    mutating func append(
        _ opcode: WebSocketOpcode, _ payload: UnsafeRawBufferPointer, compress: Bool
    ) {
        if compress, payload.count >= Deflater.minimumByteCount {
            let start = self.buffer.reserveWebSocketHeader()
            if self.deflater.deflate(payload, into: &self.buffer) {
                let range = self.buffer.finishWebSocketFrame(
                    opcode, reservedAt: start, isCompressed: true)
                // A short header leaves a gap in front of it.
                self.buffer.bytes.removeSubrange(start..<range.lowerBound)
                return
            }
            self.buffer.truncate(to: start)
        }
        self.buffer.append(webSocketFrame: opcode, payload: payload)
    }

    /// Encodes one frame, and nothing else.
    mutating func encode(
        _ opcode: WebSocketOpcode, _ payload: UnsafeRawBufferPointer, compress: Bool
    ) -> SharedFrame {
        self.removeAll()
        self.append(opcode, payload, compress: compress)
        return self.frame
    }

    /// Encodes a close frame (RFC 6455 section 5.5.1), without a code if `code` is nil.
    mutating func encodeClose(_ code: WebSocketCloseCode?, reason: String = "") -> SharedFrame {
        self.removeAll()
        self.buffer.append(webSocketClose: code, reason: reason)
        return self.frame
    }

    /// Encodes the response that accepts an upgrade.
    mutating func encodeResponse(of upgrade: WebSocketUpgrade) -> SharedFrame {
        self.removeAll()
        // Confab has no subprotocols, but a browser that offers some drops a response that names
        // none of them. Other servers choose the first one, too.
        upgrade.appendResponse(to: &self.buffer, subprotocol: upgrade.subprotocols.first)
        return self.frame
    }
}
