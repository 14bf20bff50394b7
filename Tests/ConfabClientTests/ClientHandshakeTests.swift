import Bytes
import HTTPWire
import SeededRandom
import Testing

@testable import ConfabClient

@Suite("A client handshake")
struct ClientHandshakeTests {
    private func handshake(fields: [HTTPField] = []) throws -> (
        ClientHandshake, request: String, accept: String
    ) {
        var chance = SeededGenerator(seed: 7)
        let handshake = ClientHandshake(
            to: try WebSocketURL("ws://127.0.0.1:9/x?y=1"), fields: fields, using: &chance)
        var request = ByteBuffer()
        handshake.appendRequest(to: &request)
        // The server's side computes the answer to this key.
        var parser = HTTPRequestParser()
        var head = HTTPRequestHead()
        let isWhole = try parser.parse(request.bytes.span.bytes, into: &head, limits: HTTPLimits())
        #expect(isWhole)
        var response = ByteBuffer()
        try WebSocketUpgrade(head, in: request.bytes.span.bytes).appendResponse(to: &response)
        return (handshake, request.text, response.text)
    }

    /// Spans cannot be used inside `#expect`.
    private func receive(_ bytes: some Collection<UInt8>, _ handshake: inout ClientHandshake) throws
        -> ClientHandshake.Progress
    {
        let bytes = Array(bytes)
        return try handshake.receive(bytes.span.bytes)
    }

    @Test("requests the URL's target, with additional fields")
    func request() throws {
        let (_, request, _) = try self.handshake(fields: [HTTPField("Authorization", "Bearer abc")])
        #expect(request.hasPrefix("GET /x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:9\r\n"))
        #expect(request.contains("\r\nAuthorization: Bearer abc\r\n"))
    }

    @Test(
        "opens with a valid response, however it is split, and leaves the frames after it"
    )
    func opening() throws {
        let (handshake, _, answer) = try self.handshake()
        let bytes = Array((answer + "frames").utf8)
        for cut in 0...bytes.count {
            var handshake = handshake
            var progress = try self.receive(bytes[..<cut], &handshake)
            if progress == .more(consumed: 0) { progress = try self.receive(bytes, &handshake) }
            #expect(progress == .open(consumed: answer.utf8.count))
        }
    }

    @Test("skips informational responses of a proxy, however they are split, but not for ever")
    func informational() throws {
        let (handshake, _, answer) = try self.handshake()
        let hint = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
        let bytes = Array((hint + hint + answer + "frames").utf8)
        for cut in 0...bytes.count {
            var handshake = handshake
            var progress = try self.receive(bytes[..<cut], &handshake)
            if case .more(let consumed) = progress {
                progress = try self.receive(bytes[consumed...], &handshake)
                #expect(progress == .open(consumed: bytes.count - consumed - 6))
            } else {
                #expect(progress == .open(consumed: bytes.count - 6))
            }
        }
        var endless = handshake
        let flood = Array(String(repeating: hint, count: 1000).utf8)
        #expect(throws: ClientError.self) { try self.receive(flood, &endless) }
    }

    @Test(
        "reports the server's reason for a rejection, however it is split",
        arguments: [
            (
                401, #"{"error":"token: has expired"}"#,
                "The server rejected the WebSocket with status 401: token: has expired."
            ),
            (
                403, "<html>",
                "The server rejected the WebSocket with status 403: this is not allowed."
            ),
            (
                404, "",
                "The server rejected the WebSocket with status 404: there is nothing at this path."
            ),
            (
                503, #"{"error":"full.\u001b[2J"}"#,
                #"The server rejected the WebSocket with status 503: full.\u{1b}[2J."#
            ),
            (
                426, #"{"message":"try harder!"}"#,
                "The server rejected the WebSocket with status 426: try harder!"
            ),
            (
                500, #"{"error":7}"#,
                "The server rejected the WebSocket with status 500 Internal Server Error."
            ),
        ])
    func refusal(status: Int, body: String, sentence: String) throws {
        let (handshake, _, _) = try self.handshake()
        let answer = Array(
            "HTTP/1.1 \(status) No\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
        for cut in 0..<answer.count {
            var handshake = handshake
            let error = #expect(throws: ClientError.self) {
                guard case .more(let consumed) = try self.receive(answer[..<cut], &handshake) else {
                    return
                }
                _ = try self.receive(answer[consumed...], &handshake)
            }
            #expect(error?.description == sentence)
            #expect(error?.isTransient == (status >= 500))
        }
    }

    @Test("reports a partial reason when the connection ends early")
    func cutOffRefusal() throws {
        var (handshake, _, _) = try self.handshake()
        #expect(handshake.ended() == .broken(reason: "the server closed it before it answered"))
        let answer = Array("HTTP/1.1 403 No\r\n\r\n{\"error\":\"go away\"}".utf8)
        #expect(try self.receive(answer, &handshake) == .more(consumed: answer.count))
        #expect(handshake.ended() == .refused(.forbidden, reason: "go away"))
    }

    @Test("does not read an endless rejection")
    func endlessRefusal() throws {
        var (handshake, _, _) = try self.handshake()
        let answer = Array(("HTTP/1.1 400 No\r\n\r\n" + String(repeating: "x", count: 20_000)).utf8)
        #expect(throws: ClientError.refused(.badRequest, reason: nil)) {
            try self.receive(answer, &handshake)
        }
    }

    @Test(
        "fails on a response to another key",
        arguments: [
            """
            HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: \
            Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n
            """,
            "SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        ])
    func foreignServers(answer: String) throws {
        var (handshake, _, _) = try self.handshake()
        let error = #expect(throws: ClientError.self) { try self.receive(answer.utf8, &handshake) }
        guard case .handshake = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }
}
