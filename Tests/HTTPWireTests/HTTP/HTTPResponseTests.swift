import Bytes
import HTTPWire
import Testing

@Suite("An HTTP response")
struct HTTPResponseTests {
    static let date = HTTPDate(Timestamp(milliseconds: 1_769_860_800_123))

    /// Parses a written response with the client's parser.
    static func read(_ bytes: [UInt8], answersHead: Bool = false) throws -> (
        head: HTTPResponseHead, body: String
    ) {
        var parser = HTTPResponseParser()
        var head = HTTPResponseHead()
        #expect(try parser.parse(bytes.span.bytes, into: &head, answersHead: answersHead))
        var decoder = try HTTPBodyDecoder(head.body, byteLimit: 1 << 20)
        var body = ByteBuffer()
        let rest = Array(bytes[head.byteCount...])
        let used = try decoder.decode(rest.span.bytes, into: &body)
        #expect(used == rest.count)
        return (head, body.text)
    }

    @Test("is written with its length and date, and without a body after HEAD")
    func writes() throws {
        var buffer = ByteBuffer()
        buffer.append(
            httpResponse: .ok,
            HTTPResponseContext(answersHead: false, keepsAlive: true, date: Self.date),
            fields: [HTTPField("X-A", "b")],
            body: Array("{}".utf8))
        #expect(
            buffer.text
                == """
                HTTP/1.1 200 OK\r\nDate: Sat, 31 Jan 2026 12:00:00 GMT\r\n\
                X-Content-Type-Options: nosniff\r\n\
                Content-Type: application/json\r\nContent-Length: 2\r\nX-A: b\r\n\r\n{}
                """
        )
        buffer.removeAll()
        buffer.append(
            httpResponse: .ok,
            HTTPResponseContext(answersHead: true, keepsAlive: false, date: Self.date),
            contentType: "text/plain",
            body: Array("{}".utf8))
        #expect(
            buffer.text
                == """
                HTTP/1.1 200 OK\r\nDate: Sat, 31 Jan 2026 12:00:00 GMT\r\n\
                X-Content-Type-Options: nosniff\r\n\
                Content-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\n
                """
        )
        buffer.removeAll()
        buffer.append(
            httpResponse: .noContent,
            HTTPResponseContext(answersHead: false, keepsAlive: true, date: Self.date))
        #expect(
            buffer.text
                == """
                HTTP/1.1 204 No Content\r\nDate: Sat, 31 Jan 2026 12:00:00 GMT\r\n\
                X-Content-Type-Options: nosniff\r\n\r\n
                """
        )
    }

    @Test("with an error contains the reason as JSON")
    func errors() throws {
        var buffer = ByteBuffer()
        let answering = HTTPResponseContext(answersHead: false, keepsAlive: false, date: Self.date)
        buffer.append(httpError: .methodNotAllowed("GET", "HEAD"), answering)
        let read = try Self.read(buffer.bytes)
        #expect(read.head.status == .methodNotAllowed && !read.head.keepsAlive)
        #expect(read.head.fields.text("allow", in: buffer.bytes.span.bytes) == "GET, HEAD")
        #expect(read.body == #"{"error":"Allowed methods of this path: GET, HEAD."}"#)
        buffer.removeAll()
        buffer.append(httpError: .badRequest("a \"b\" \\ \u{1}"), answering)
        #expect(try Self.read(buffer.bytes).body == #"{"error":"a \"b\" \\  "}"#)
    }

    @Test("does not allow a value to inject fields")
    func injection() throws {
        var buffer = ByteBuffer()
        buffer.append(
            httpResponse: .found,
            HTTPResponseContext(answersHead: false, keepsAlive: true, date: Self.date),
            fields: [HTTPField("Location", "/a\r\nSet-Cookie: b")])
        let read = try Self.read(buffer.bytes)
        #expect(read.head.fields.text("set-cookie", in: buffer.bytes.span.bytes) == nil)
        #expect(
            read.head.fields.text("location", in: buffer.bytes.span.bytes) == "/a  Set-Cookie: b")
    }

    static let accepted: [(String, Bool, Int, HTTPBodyLength, Bool)] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, 200, .bytes(5), true),
        ("HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n", false, 200, .chunked, true),
        ("HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", false, 404, .bytes(0), true),
        ("HTTP/1.1 200 OK\r\n\r\n", false, 200, .untilClose, false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", false, 200, .bytes(1), false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, 200, .bytes(0), true),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, 304, .bytes(0), true),
        ("HTTP/1.1 101 é\r\n\r\n", false, 101, .bytes(0), true),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", false, 200,
            .bytes(5), false
        ),
    ]

    @Test("is parsed the same for every split of its bytes", arguments: accepted)
    func reads(
        _ text: String, _ answersHead: Bool, _ status: Int, _ body: HTTPBodyLength,
        _ keepsAlive: Bool
    ) throws {
        let bytes = Array(text.utf8)
        for split in 0...bytes.count {
            var parser = HTTPResponseParser()
            var head = HTTPResponseHead()
            let first = Array(bytes[..<split])
            let isWhole = try parser.parse(first.span.bytes, into: &head, answersHead: answersHead)
            #expect(isWhole == (split == bytes.count))
            if !isWhole {
                #expect(try parser.parse(bytes.span.bytes, into: &head, answersHead: answersHead))
            }
            #expect(
                head.status.rawValue == status && head.body == body && head.keepsAlive == keepsAlive
                    && head.byteCount == bytes.count)
        }
    }

    @Test(
        "that is malformed is rejected",
        arguments: [
            "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1  200 OK\r\n\r\n",
            "HTTP/1.1 200\tOK\r\n\r\n", "HTTP/1.1 200 O\u{0}K\r\n\r\n", "HTTP/1.1\r\n\r\n",
            "200 OK\r\n\r\n", "HTTP/1.1 000 X\r\n\r\n",
            "HTTP/1.1 200 OK\nA: b\n\n", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "X\r\n\r\n",
        ])
    func rejects(_ text: String) {
        let bytes = Array(text.utf8)
        var parser = HTTPResponseParser()
        var head = HTTPResponseHead()
        #expect(throws: HTTPResponseError.self) { try parser.parse(bytes.span.bytes, into: &head) }
    }

    @Test(
        "has the date of its second",
        arguments: [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777_999, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (1_709_164_800_000, "Thu, 29 Feb 2024 00:00:00 GMT"),
            (253_402_300_799_000, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] as [(Int64, String)])
    func dates(_ milliseconds: Int64, _ text: String) {
        #expect(HTTPDate(Timestamp(milliseconds: milliseconds)).text == text)
    }

    @Test("is not needed to parse the requests that were written")
    func requests() throws {
        var buffer = ByteBuffer()
        buffer.append(
            httpRequest: "POST", target: "/a?b", host: "h:1",
            fields: [HTTPField("X-One", "1\r\nHost: evil")], body: Array("hi".utf8))
        buffer.append(httpRequest: "GET", target: "/", host: "h")
        var reader = HTTPTestReader()
        try reader.receive(buffer.bytes)
        #expect(reader.requests.map(\.body) == ["hi", ""])
        #expect(reader.requests.map(\.authority) == ["h:1", "h"])
        #expect(
            reader.requests[0].fields == ["host=h:1", "content-length=2", "x-one=1  Host: evil"])
    }
}
