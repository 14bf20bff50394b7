import Bytes
import ChatClient
import HTTPWire
import Testing

@testable import LoadGenerator

@Suite("A member that polls")
struct LongPollingClientTests {
    private static let open =
        #"0{"sid":"abc","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#

    private func answer(_ body: String, status: String = "200 OK") -> [UInt8] {
        Array("HTTP/1.1 \(status)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
    }

    private func request(_ talk: inout LongPollingClient) -> String {
        var buffer = ByteBuffer()
        talk.appendRequest(to: &buffer)
        return buffer.text
    }

    private func packets(_ talk: inout LongPollingClient, _ body: String) throws -> [String]? {
        let bytes = self.answer(body)
        return try talk.receive(bytes.span.bytes)?.packets.map {
            String(decoding: bytes[$0], as: UTF8.self)
        }
    }

    private func client() throws -> LongPollingClient {
        try LongPollingClient(to: WebSocketURL("ws://host:1/socket.io/?EIO=4&transport=polling"))
    }

    @Test("asks for packets under the name that it was given, and first says what it has to say")
    func fullSession() throws {
        var talk = try self.client()
        #expect(
            self.request(&talk)
                == "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: host:1\r\n\r\n")
        #expect(try self.packets(&talk, Self.open) == [Self.open])
        talk.enqueue("40")
        talk.enqueue("3")
        #expect(
            self.request(&talk)
                == "POST /socket.io/?EIO=4&transport=polling&sid=abc HTTP/1.1\r\nHost: host:1\r\nContent-Type: text/plain\r\n"
                + "Content-Length: 4\r\n\r\n40\u{1E}3")
        // The answer to a POST is none of packets.
        #expect(try self.packets(&talk, "ok") == [])
        #expect(
            self.request(&talk)
                == "GET /socket.io/?EIO=4&transport=polling&sid=abc HTTP/1.1\r\nHost: host:1\r\n\r\n"
        )
        #expect(try self.packets(&talk, "2\u{1E}42[\"a\"]") == ["2", "42[\"a\"]"])
    }

    @Test("waits for the whole of an answer, wherever it is cut")
    func pieces() throws {
        let bytes = self.answer(Self.open)
        for cut in 0..<bytes.count {
            var talk = try self.client()
            _ = self.request(&talk)
            #expect(try talk.receive(Array(bytes[..<cut]).span.bytes) == nil)
            #expect(try talk.receive(bytes.span.bytes)?.end == bytes.count)
        }
    }

    @Test("is refused with the server's words")
    func refusal() throws {
        var talk = try self.client()
        _ = self.request(&talk)
        let bytes = self.answer(
            #"{"code":1,"message":"Session ID unknown"}"#, status: "400 Bad Request")
        #expect(
            throws: ClientError.refused(
                .badRequest, reason: #"{"code":1,"message":"Session ID unknown"}"#)
        ) {
            _ = try talk.receive(bytes.span.bytes)
        }
    }
}
