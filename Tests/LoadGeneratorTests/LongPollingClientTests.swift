import Bytes
import ConfabClient
import HTTPWire
import Testing

@testable import LoadGenerator

@Suite("A long-polling member")
struct LongPollingClientTests {
    private static let open =
        #"""
        0{"sid":"abc","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,\#
        "maxPayload":1000000}
        """#

    private func answer(_ body: String, status: String = "200 OK") -> [UInt8] {
        Array("HTTP/1.1 \(status)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
    }

    private func request(_ client: inout LongPollingClient) -> String {
        var buffer = ByteBuffer()
        client.appendRequest(to: &buffer)
        return buffer.text
    }

    private func packets(_ client: inout LongPollingClient, _ body: String) throws -> [String]? {
        let bytes = self.answer(body)
        return try client.receive(bytes.span.bytes)?.packets.map {
            String(decoding: bytes[$0], as: UTF8.self)
        }
    }

    private func client() throws -> LongPollingClient {
        try LongPollingClient(to: WebSocketURL("ws://host:1/socket.io/?EIO=4&transport=polling"))
    }

    @Test("polls with its session id, and sends queued packets first")
    func fullSession() throws {
        var client = try self.client()
        #expect(
            self.request(&client)
                == "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: host:1\r\n\r\n")
        #expect(try self.packets(&client, Self.open) == [Self.open])
        client.enqueue("40")
        client.enqueue("3")
        #expect(
            self.request(&client)
                == """
                POST /socket.io/?EIO=4&transport=polling&sid=abc HTTP/1.1\r\nHost: \
                host:1\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\n40\u{1E}3
                """)
        // The response to a POST contains no packets.
        #expect(try self.packets(&client, "ok") == [])
        #expect(
            self.request(&client)
                == """
                GET /socket.io/?EIO=4&transport=polling&sid=abc HTTP/1.1\r\nHost: host:1\r\n\r\n
                """
        )
        #expect(try self.packets(&client, "2\u{1E}42[\"a\"]") == ["2", "42[\"a\"]"])
    }

    @Test("waits for a complete response, however it is split")
    func pieces() throws {
        let bytes = self.answer(Self.open)
        for cut in 0..<bytes.count {
            var client = try self.client()
            _ = self.request(&client)
            #expect(try client.receive(Array(bytes[..<cut]).span.bytes) == nil)
            #expect(try client.receive(bytes.span.bytes)?.end == bytes.count)
        }
    }

    @Test("reports the server's reason for a rejection")
    func refusal() throws {
        var client = try self.client()
        _ = self.request(&client)
        let bytes = self.answer(
            #"{"code":1,"message":"Session ID unknown"}"#, status: "400 Bad Request")
        #expect(
            throws: ClientError.refused(
                .badRequest, reason: #"{"code":1,"message":"Session ID unknown"}"#)
        ) {
            _ = try client.receive(bytes.span.bytes)
        }
    }
}
