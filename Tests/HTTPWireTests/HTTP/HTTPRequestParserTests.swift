import HTTPWire
import Testing

@Suite("An HTTP request")
struct HTTPRequestParserTests {
    static let accepted: [(String, ParsedRequest)] = [
        (
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            ParsedRequest(
                method: .get, path: "/", authority: "a", fields: ["host=a"], keepsAlive: true,
                body: "")
        ),
        (
            """
            \r\nPOST /a/b%20c?x=1&y=%C3%A9 HTTP/1.1\r\nHOST:\t example.org:8080 \t\r\n\
            content-length: 5\r\nX-One:\r\nx-two: é \"q\"\t;\r\n\r\nHello
            """,
            ParsedRequest(
                method: .post, path: "/a/b%20c", query: "x=1&y=%C3%A9",
                authority: "example.org:8080",
                fields: [
                    "host=example.org:8080", "content-length=5", "x-one=", "x-two=é \"q\"\t;",
                ], keepsAlive: true, body: "Hello")
        ),
        (
            """
            PUT /u HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: Chunked\r\n\
            Connection: x, Close\r\n\r\n5\r\nHello\r\n0006;a=\"b\"\r\n World\r\n0\r\nX-T: 1\r\n\r\n
            """,
            ParsedRequest(
                method: .put, path: "/u", authority: "[::1]:80",
                fields: ["host=[::1]:80", "transfer-encoding=Chunked", "connection=x, Close"],
                keepsAlive: false, body: "Hello World")
        ),
        (
            "GET http://other.example?q HTTP/1.1\r\nHost: a\r\n\r\n",
            ParsedRequest(
                method: .get, path: "/", query: "q", authority: "other.example", fields: ["host=a"],
                keepsAlive: true, body: "")
        ),
        (
            "GET HTTPS://o:1/p/ HTTP/1.1\r\nHost: o:1\r\n\r\n",
            ParsedRequest(
                method: .get, path: "/p/", authority: "o:1", fields: ["host=o:1"], keepsAlive: true,
                body: "")
        ),
        (
            "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            ParsedRequest(
                method: .options, path: "*", authority: "a", fields: ["host=a"], keepsAlive: true,
                body: "")
        ),
        (
            "HEAD /? HTTP/1.0\r\n\r\n",
            ParsedRequest(
                method: .head, path: "/", query: "", authority: nil, fields: [], keepsAlive: false,
                body: "")
        ),
        (
            "GET / HTTP/1.0\r\nConnection: keep-alive\r\nHost: a\r\n\r\n",
            ParsedRequest(
                method: .get, path: "/", authority: "a",
                fields: ["host=a", "connection=keep-alive"], keepsAlive: false, body: "")
        ),
        (
            "PROPFIND //x?[a]{b}|c HTTP/1.1\r\nHost: a\r\n\r\n",
            ParsedRequest(
                method: .other, path: "//x", query: "[a]{b}|c", authority: "a", fields: ["host=a"],
                keepsAlive: true, body: "")
        ),
        (
            "DELETE /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
            ParsedRequest(
                method: .delete, path: "/x", authority: "a",
                fields: ["host=a", "content-length=0", "connection=keep-alive"],
                keepsAlive: true, body: "")
        ),
    ]

    @Test("is parsed to the expected parts", arguments: accepted)
    func accepts(_ text: String, _ request: ParsedRequest) {
        #expect(parseRequests(text) == .success([request]))
    }

    @Test("is parsed the same for every split of its bytes", arguments: accepted)
    func everySplit(_ text: String, _ request: ParsedRequest) {
        let bytes = Array(text.utf8)
        for split in 0...bytes.count {
            var reader = HTTPTestReader()
            #expect(
                reader.error(receiving: [Array(bytes[..<split]), Array(bytes[split...])]) == nil)
            #expect(reader.requests == [request] && reader.unread.isEmpty)
        }
        var reader = HTTPTestReader()
        #expect(reader.error(receiving: bytes.map { [$0] }) == nil)
        #expect(reader.requests == [request] && reader.unread.isEmpty)
    }

    @Test("may directly follow another one, split anywhere")
    func pipelined() {
        let bytes = Array(Self.accepted.map(\.0).joined().utf8)
        for split in 0...bytes.count {
            var reader = HTTPTestReader()
            #expect(
                reader.error(receiving: [Array(bytes[..<split]), Array(bytes[split...])]) == nil)
            #expect(reader.requests == Self.accepted.map(\.1))
        }
    }

    /// If two implementations interpreted one of these differently, a client could smuggle a
    /// request past the first one.
    static let rejected: [String] =
        [
            // Lengths.
            """
            POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
            0\r\n\r\n
            """,
            """
            POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n\
            0\r\n\r\n
            """,
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nHello",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nHello",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nHello",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nHello",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
            """
            POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
            Transfer-Encoding: chunked\r\n\r\n
            """,
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \u{B}chunked\r\n\r\n",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            // Line ends.
            "GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
            "GET / HTTP/1.1\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
            "GET / HTTP/1.1\rHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
            "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", "\n",
            "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "\r\n\n",
            // Fields.
            "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n",
            "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX(y): b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX\u{0}: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: b\u{0}c\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: \u{7F}\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: 0123456789\u{1}\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\né: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n",
            // Hosts.
            "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: []\r\n\r\n", "GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a%4\r\n\r\n", "GET / HTTP/1.1\r\nHost: é\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\"b\r\n\r\n",
            // Request lines.
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
            " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /\tHTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /\r\n\r\n", "GET\r\n\r\n", "/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / http/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1x\r\nHost: a\r\n\r\n",
            "GET / HTTP/11\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.\r\nHost: a\r\n\r\n",
            "GET / HTTP/01.1\r\nHost: a\r\n\r\n", "GET / FTP/1.1\r\nHost: a\r\n\r\n",
            "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?a#b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /a\"b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /a|b HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?a<b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /é HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /% HTTP/1.1\r\nHost: a\r\n\r\n", "GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /%4g HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /?a=%zz HTTP/1.1\r\nHost: a\r\n\r\n", "GET /\u{0} HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /\u{7F} HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http:// HTTP/1.1\r\nHost: a\r\n\r\n", "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http:/a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http://a:x/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http://a#b HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS ?a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\n\r\n", "GET http://a/ HTTP/1.1\r\nHost: b c\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nOrigin: http://b\r\n\r\n",
            "GET / HTTP/1.1\r\nOrigin: http://a\r\nHost: a\r\norigin: http://a\r\n\r\n",
            // Chunks.
        ]
        + [
            "5\nHello\r\n0\r\n\r\n", "5\r\nHello\n0\r\n\r\n", "5\r\nHello0\r\n\r\n",
            "5\r\nHelloX\r\n0\r\n\r\n", "5 \r\nHello\r\n0\r\n\r\n",
            " 5\r\nHello\r\n0\r\n\r\n", "0x5\r\nHello\r\n0\r\n\r\n", "-5\r\nHello", "+5\r\nHello",
            "\r\n", "g\r\n",
            ";a\r\n", "5\rHello\r\n", "0\r\n\n", "0\r\nX\r\n\r\n", "0\r\n X: y\r\n\r\n",
            "0\r\nX: y\n\r\n", "0\r\nX: \u{0}\r\n\r\n",
            "0\r\n\rX", "0\n\r\n", "5;\u{0}\r\nHello", "5;a\nHello", "5,5\r\nHello",
            "1000000000000000\r\n", "0\r\nX : y\r\n\r\n",
            "0\r\n: y\r\n\r\n",
        ].map { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\($0)" }

    @Test("that is ambiguous or malformed is rejected with 400", arguments: rejected)
    func rejects(_ text: String) {
        #expect(rejectionStatus(text) == 400)
        var reader = HTTPTestReader()
        #expect(reader.error(receiving: text.utf8.map { [$0] })?.status == .badRequest)
        #expect(reader.requests.count <= 1)
    }

    @Test(
        "of another version is rejected with 505",
        arguments: ["HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/3.1", "HTTP/9.9"])
    func versions(_ version: String) {
        #expect(rejectionStatus("GET / \(version)\r\nHost: a\r\n\r\n") == 505)
        #expect(rejectionStatus("PRI * \(version)\r\n\r\n") == 505)
    }

    @Test("is limited in size, at once and byte by byte")
    func bounds() {
        let limits = HTTPLimits(headBytes: 200, requestLineBytes: 50, fieldCount: 3)
        func statuses(_ text: String) -> [Int?] {
            var reader = HTTPTestReader()
            reader.limits = limits
            return [
                rejectionStatus(text, limits: limits),
                reader.error(receiving: text.utf8.map { [$0] })?.status.rawValue,
            ]
        }
        let target = { (count: Int) in "/" + String(repeating: "a", count: count - 1) }
        // 50 bytes are "GET ", a target of 36, " HTTP/1.1", and the CR.
        #expect(statuses("GET \(target(36)) HTTP/1.1\r\nHost: a\r\n\r\n") == [nil, nil])
        #expect(statuses("GET \(target(37)) HTTP/1.1\r\nHost: a\r\n\r\n") == [414, 414])
        #expect(statuses("GET \(target(5000))") == [414, 414])
        #expect(statuses(String(repeating: "G", count: 51)) == [414, 414])

        let head = { (valueByteCount: Int) in
            let value = String(repeating: "b", count: valueByteCount)
            return "GET / HTTP/1.1\r\nHost: a\r\nX: \(value)\r\n\r\n"
        }
        let otherByteCount = head(0).utf8.count
        #expect(statuses(head(200 - otherByteCount)) == [nil, nil])
        #expect(statuses(head(201 - otherByteCount)) == [431, 431])
        #expect(statuses(String(head(500).dropLast(2))) == [431, 431])
        #expect(statuses("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\n\r\n") == [nil, nil])
        #expect(
            statuses("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n") == [431, 431])
    }

    @Test("that expects anything but 100-continue is rejected with 417")
    func expectations() throws {
        #expect(
            rejectionStatus(
                "POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\nx") == 417
        )
        #expect(
            rejectionStatus("POST / HTTP/1.0\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\nx")
                == nil)
        var head = HTTPRequestHead()
        for (text, expects) in [
            (
                "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n",
                true
            ),
            ("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", false),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", false),
        ] {
            var parser = HTTPRequestParser()
            let bytes = Array(text.utf8)
            #expect(try parser.parse(bytes.span.bytes, into: &head, limits: HTTPLimits()))
            #expect(head.expectsContinue == expects)
        }
    }

    @Test("leaves nothing of the previous request in a reused head")
    func reuse() throws {
        var head = HTTPRequestHead()
        let first = Array(
            """
            POST http://x/a?q HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nConnection: close\r\n\
            Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n
            """
            .utf8)
        var parser = HTTPRequestParser()
        #expect(try parser.parse(first.span.bytes, into: &head, limits: HTTPLimits()))
        let second = Array("GET /b HTTP/1.0\r\n\r\n".utf8)
        #expect(try parser.parse(second.span.bytes, into: &head, limits: HTTPLimits()))
        #expect(
            head.method == .get && head.version == .http10 && head.query == nil
                && head.authority == nil && head.fields.count == 0)
        #expect(
            head.body == .bytes(0) && !head.keepsAlive && !head.expectsContinue
                && head.byteCount == second.count)
        let third = Array("GET /b HTTP/1.1\r\nHost: c\r\n\r\n".utf8)
        #expect(try parser.parse(third.span.bytes, into: &head, limits: HTTPLimits()))
        #expect(head.keepsAlive && head.field("x-one", in: third.span.bytes) == nil)
    }
}
