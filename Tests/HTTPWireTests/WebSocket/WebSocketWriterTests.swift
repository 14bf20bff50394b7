import Bytes
import HTTPWire
import Testing

@Suite("A WebSocket frame")
struct WebSocketWriterTests {
    @Test(
        "has the shortest header for its payload",
        arguments: [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)])
    func headers(_ payloadByteCount: Int, _ headerByteCount: Int) {
        #expect(
            ByteBuffer.webSocketHeaderByteCount(payloadByteCount: payloadByteCount)
                == headerByteCount)
        #expect(
            ByteBuffer.webSocketHeaderByteCount(payloadByteCount: payloadByteCount, isMasked: true)
                == headerByteCount + 4)
        var buffer = ByteBuffer()
        buffer.append(webSocketHeader: .text, payloadByteCount: payloadByteCount)
        #expect(buffer.count == headerByteCount)
        buffer.removeAll()
        buffer.append(webSocketHeader: .text, payloadByteCount: payloadByteCount, mask: 1)
        #expect(buffer.count == headerByteCount + 4)
    }

    @Test(
        "can be completed after its payload was written",
        arguments: [0, 1, 125, 126, 65_535, 65_536, 70_000])
    func reserved(_ count: Int) {
        var buffer = ByteBuffer([1, 2, 3])
        let start = buffer.reserveWebSocketHeader()
        let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        buffer.append(contentsOf: payload)
        let range = buffer.finishWebSocketFrame(.binary, reservedAt: start)
        #expect(Array(buffer.bytes[range]) == frame(.binary, payload, mask: nil))
        #expect(Array(buffer.bytes.prefix(3)) == [1, 2, 3])
    }

    @Test("that closes the connection cuts its reason between characters")
    func closeReason() throws {
        var buffer = ByteBuffer()
        buffer.append(webSocketClose: .goingAway, reason: String(repeating: "é", count: 100))
        #expect(
            readFrames(buffer.bytes, role: .client)
                == .success([.close(1001, String(repeating: "é", count: 61))]))
        buffer.removeAll()
        buffer.append(webSocketClose: nil, mask: 0x0102_0304)
        #expect(readFrames(buffer.bytes) == .success([.close(nil, "")]))
        buffer.removeAll()
        buffer.append(webSocketText: "é text", mask: 0x0102_0304)
        #expect(readFrames(buffer.bytes) == .success([.text("é text")]))
    }
}
