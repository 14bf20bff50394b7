import HTTPWire
import Testing

@Suite("A query")
struct HTTPQueryTests {
    static func value(_ name: StaticString, _ query: String) throws -> String? {
        let bytes = Array("GET /p\(query) HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
        var parser = HTTPRequestParser()
        var head = HTTPRequestHead()
        #expect(try parser.parse(bytes.span.bytes, into: &head, limits: HTTPLimits()))
        return try head.queryValue(name, in: bytes.span.bytes)
    }

    @Test(
        "is iterated part by part, without decoding",
        arguments: [
            ("", ""), ("&", ""), ("&&&", ""), ("a", "a>"), ("a=", "a>"), ("=b", ">b"), ("=", ">"),
            ("a=b", "a>b"), ("a=b=c&d", "a>b=c d>"),
            ("&a=%26&&b=+&", "a>%26 b>+"),
            (
                "first=1&second=2&third=345678901234567890",
                "first>1 second>2 third>345678901234567890"
            ),
        ])
    func parts(_ query: String, _ expected: String) {
        let bytes = Array("?\(query)#=&".utf8)
        var parts = HTTPQueryParts(1..<bytes.count - 3)
        var found: [String] = []
        while let part = parts.next(in: bytes.span.bytes) {
            found.append(
                String(decoding: bytes[part.name], as: UTF8.self) + ">"
                    + String(decoding: bytes[part.value], as: UTF8.self))
        }
        #expect(found.joined(separator: " ") == expected)
    }

    @Test(
        "returns the first value of a name, decoded",
        arguments: [
            ("", nil), ("?", nil), ("?a=1", nil), ("?token=x", "x"), ("?token=", ""),
            ("?token", ""), ("?a=1&token=x&token=y", "x"),
            ("?tokens=1&xtoken=2&token=3", "3"), ("?token=a%20b+c%2B", "a b c+"),
            ("?token=%C3%A9", "é"),
            ("?%74oken=x", "x"), ("?token=a=b", "a=b"), ("?&&token=x&", "x"), ("?a=token=x", nil),
            ("?token?=1", nil),
        ] as [(String, String?)])
    func values(_ query: String, _ value: String?) throws {
        #expect(try Self.value("token", query) == value)
    }

    @Test("reports the parameter that is not valid text")
    func malformed() {
        #expect(
            throws: HTTPError(
                .badRequest, "The query parameter after is not percent-encoded UTF-8.")
        ) {
            try Self.value("after", "?after=%FF")
        }
    }
}
