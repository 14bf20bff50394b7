import Bytes
import HTTPWire
import SeededRandom
import Testing

@Suite("A WebSocket handshake")
struct WebSocketHandshakeTests {
    static let good = [
        "Host": "server.example.com", "Upgrade": "websocket", "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    ]

    static func text(
        _ changes: [String: String?] = [:], extra: String = "", line: String = "GET /chat HTTP/1.1"
    ) -> String {
        let fields = Self.good.merging(changes.compactMapValues { $0 }) { $1 }.filter {
            changes[$0.key] != .some(nil)
        }
        return "\(line)\r\n" + fields.sorted { $0.key < $1.key }.map { "\($0): \($1)\r\n" }.joined()
            + extra + "\r\n"
    }

    static func upgrade(_ text: String) throws -> WebSocketUpgrade {
        let bytes = Array(text.utf8)
        var parser = HTTPRequestParser()
        var head = HTTPRequestHead()
        #expect(try parser.parse(bytes.span.bytes, into: &head, limits: HTTPLimits()))
        return try WebSocketUpgrade(head, in: bytes.span.bytes)
    }

    static func response(
        _ upgrade: WebSocketUpgrade, subprotocol: String? = nil, compresses: Bool = true
    ) -> String {
        var buffer = ByteBuffer()
        upgrade.appendResponse(to: &buffer, subprotocol: subprotocol, compresses: compresses)
        return buffer.text
    }

    @Test("produces the response of RFC 6455 section 1.3")
    func example() throws {
        #expect(
            Self.response(try Self.upgrade(Self.text()))
                == """
                HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
                \r\n
                """
        )
    }

    @Test("accepts names and tokens in any case and in lists")
    func variants() throws {
        #expect(throws: Never.self) {
            try Self.upgrade(
                Self.text(["Upgrade": "h2c, WebSocket", "Connection": "keep-alive, UPGRADE"]))
        }
        let upgrade = try Self.upgrade(
            Self.text(extra: "Sec-WebSocket-Protocol: a, b\r\nsec-websocket-protocol: c\r\n"))
        #expect(upgrade.subprotocols == ["a", "b", "c"] && !upgrade.clientMayCompress)
        #expect(
            Self.response(upgrade, subprotocol: "b").contains("\r\nSec-WebSocket-Protocol: b\r\n"))
    }

    static let rejected: [(String, Int)] = [
        (text(["Upgrade": nil]), 426), (text(["Upgrade": "websockets"]), 426),
        (text(["Connection": nil]), 400),
        (text(["Connection": "close"]), 400),
        (text(["Sec-WebSocket-Version": nil]), 426), (text(["Sec-WebSocket-Version": "8"]), 426),
        (text(["Sec-WebSocket-Version": "13, 8"]), 426),
        (text(extra: "Sec-WebSocket-Version: 13\r\n"), 426),
        (text(["Sec-WebSocket-Key": nil]), 400), (text(["Sec-WebSocket-Key": ""]), 400),
        (text(["Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ="]), 400),
        (text(["Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ"]), 400),
        (text(["Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25j"]), 400),
        (text(["Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZSE="]), 400),
        (text(["Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub2-jZQ=="]), 400),
        (text(extra: "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), 400),
        (text(extra: "Content-Length: 3\r\n"), 400),
        (text(extra: "Transfer-Encoding: chunked\r\n"), 400),
        (text(line: "POST /chat HTTP/1.1"), 405), (text(line: "GET /chat HTTP/1.0"), 400),
        (text(extra: "Sec-WebSocket-Protocol: a b\r\n"), 400),
        (text(extra: "Sec-WebSocket-Protocol: a,,b\r\n"), 400),
        (text(extra: "Sec-WebSocket-Protocol:\r\n"), 400),
    ]

    @Test("rejects invalid WebSocket requests", arguments: rejected)
    func rejects(_ text: String, _ status: Int) throws {
        do {
            _ = try Self.upgrade(text)
            Issue.record("The request was accepted.")
        } catch let error as HTTPError {
            #expect(error.status.rawValue == status)
            if status == 426 {
                #expect(error.fields.contains(HTTPField("Sec-WebSocket-Version", "13")))
            }
        }
    }

    static let plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    static let offers: [(String, String?)] = [
        ("permessage-deflate", plain), ("permessage-deflate; client_max_window_bits", plain),
        ("permessage-deflate;client_max_window_bits=15", plain),
        ("permessage-deflate; client_max_window_bits=\"8\"", plain),
        ("permessage-deflate; server_no_context_takeover; client_no_context_takeover", plain),
        ("permessage-deflate; server_max_window_bits=15", plain + "; server_max_window_bits=15"),
        ("permessage-deflate; server_max_window_bits=10, permessage-deflate", plain),
        ("x-webkit-deflate-frame, permessage-deflate", plain),
        ("foo; a=\"b\", permessage-deflate; client_max_window_bits", plain),
        ("permessage-deflate; server_max_window_bits=10", plain + "; server_max_window_bits=10"),
        ("permessage-deflate; server_max_window_bits", nil),
        ("permessage-deflate; server_max_window_bits=16", nil),
        ("permessage-deflate; server_max_window_bits=015", nil),
        ("permessage-deflate; client_max_window_bits=7", nil),
        ("permessage-deflate; client_max_window_bits=x", nil),
        ("permessage-deflate; client_max_window_bits=", nil),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits", nil),
        ("permessage-deflate; server_no_context_takeover=1", nil),
        ("permessage-deflate; unknown", nil),
        ("permessage-deflate; unknown=1, permessage-deflate; other", nil),
        ("permessage-bzip2", nil), ("permessage-deflate;", nil),
        (";", nil), (",", nil),
        ("permessage-deflate permessage-deflate", nil),
        ("permessage-deflate; client_max_window_bits=\"15", nil), ("", nil),
    ]

    @Test(
        "accepts only compression that one deflater can serve for all connections",
        arguments: offers)
    func compression(_ offer: String, _ answer: String?) throws {
        let upgrade = try Self.upgrade(Self.text(["Sec-WebSocket-Extensions": offer]))
        #expect(upgrade.clientMayCompress == (answer != nil))
        let line = answer.map { "\r\nSec-WebSocket-Extensions: \($0)\r\n" } ?? "\r\n\r\n"
        #expect(Self.response(upgrade).contains(line))
        #expect(Self.response(upgrade).contains("Extensions") == (answer != nil))
        #expect(!Self.response(upgrade, compresses: false).contains("Extensions"))
    }

    @Test("does not compress for a client that demands a smaller window")
    func smallWindow() throws {
        let small = try Self.upgrade(
            Self.text(["Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=9"]))
        #expect(small.clientMayCompress && !small.serverMayCompress)
        let full = try Self.upgrade(
            Self.text(["Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=15"])
        )
        #expect(full.clientMayCompress && full.serverMayCompress)
    }

    @Test("joins the offers of several fields")
    func severalFields() throws {
        let upgrade = try Self.upgrade(
            Self.text(
                extra:
                    """
                    Sec-WebSocket-Extensions: permessage-deflate; unknown\r\n\
                    Sec-WebSocket-Extensions: permessage-deflate\r\n
                    """
            ))
        #expect(upgrade.clientMayCompress)
    }

    static func verify(_ handshake: WebSocketClientHandshake, _ response: String) throws
        -> WebSocketClientHandshake.HandshakeResult
    {
        let bytes = Array(response.utf8)
        var parser = HTTPResponseParser()
        var head = HTTPResponseHead()
        #expect(try parser.parse(bytes.span.bytes, into: &head))
        return try handshake.verify(head, in: bytes.span.bytes)
    }

    @Test("succeeds between our client and our server")
    func bothSides() throws {
        var random = SeededGenerator(seed: 1)
        for offersCompression in [false, true] {
            let handshake = WebSocketClientHandshake(
                offersCompression: offersCompression, subprotocols: ["x", "y"], using: &random)
            var request = ByteBuffer()
            handshake.appendRequest(
                to: &request, target: "/ws?token=a", host: "h:1",
                fields: [HTTPField("Origin", "http://h:1")])
            let upgrade = try Self.upgrade(request.text)
            let agreement = try Self.verify(handshake, Self.response(upgrade, subprotocol: "y"))
            #expect(agreement.compresses == offersCompression && agreement.subprotocol == "y")
            #expect(
                !(try Self.verify(handshake, Self.response(upgrade, compresses: false))).compresses)
        }
    }

    @Test("is aborted by our client if the response is wrong")
    func clientRejects() throws {
        var random = SeededGenerator(seed: 1)
        let handshake = WebSocketClientHandshake(using: &random)
        var request = ByteBuffer()
        handshake.appendRequest(to: &request, target: "/", host: "h")
        let good = Self.response(try Self.upgrade(request.text))
        #expect(throws: Never.self) { try Self.verify(handshake, good) }
        let bad = [
            good.replacing("101 Switching Protocols", with: "200 OK"),
            good.replacing("Upgrade: websocket", with: "Upgrade: other"),
            good.replacing("Connection: Upgrade", with: "Connection: close"),
            good.replacing("Accept: ", with: "Accept: x"),
            good.replacing(
                "\r\n\r\n", with: "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
            good.replacing("\r\n\r\n", with: "\r\nSec-WebSocket-Protocol: z\r\n\r\n"),
        ]
        for response in bad {
            #expect(throws: HTTPResponseError.self) { try Self.verify(handshake, response) }
        }
        let asking = WebSocketClientHandshake(offersCompression: true, using: &random)
        var second = ByteBuffer()
        asking.appendRequest(to: &second, target: "/", host: "h")
        let plain = Self.response(try Self.upgrade(second.text), compresses: false)
        for answer in [
            "permessage-deflate", "permessage-deflate; server_no_context_takeover; x",
            "permessage-deflate; server_no_context_takeover; client_max_window_bits=9", "a",
        ] {
            #expect(throws: HTTPResponseError.self) {
                try Self.verify(
                    asking,
                    plain.replacing(
                        "\r\n\r\n", with: "\r\nSec-WebSocket-Extensions: \(answer)\r\n\r\n"))
            }
        }
        let small = plain.replacing(
            "\r\n\r\n",
            with:
                """
                \r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
                server_max_window_bits=9\r\n\r\n
                """
        )
        #expect(try Self.verify(asking, small).compresses)
    }
}
