import Bytes
import HTTPWire
import Testing

@Suite("An HTTP body")
struct HTTPBodyDecoderTests {
    static func decode(_ text: String, _ length: HTTPBodyLength, byteLimit: Int = 1000)
        throws(HTTPError) -> (
            body: String, used: Int, isComplete: Bool
        )
    {
        var decoder = try HTTPBodyDecoder(length, byteLimit: byteLimit)
        var body = ByteBuffer()
        let bytes = Array(text.utf8)
        let used = try decoder.decode(bytes.span.bytes, into: &body)
        return (body.text, used, decoder.isComplete)
    }

    @Test("ends at its length, and leaves the next message unread")
    func ends() throws {
        #expect(try Self.decode("HelloGET", .bytes(5)) == ("Hello", 5, true))
        #expect(try Self.decode("GET", .bytes(0)) == ("", 0, true))
        #expect(try Self.decode("Hel", .bytes(5)) == ("Hel", 3, false))
        #expect(try Self.decode("5\r\nHello\r\n0\r\n\r\nGET", .chunked) == ("Hello", 15, true))
        #expect(try Self.decode("0\r\nA: b\r\nC:\r\n\r\nGET", .chunked) == ("", 15, true))
        #expect(try Self.decode("all of it", .untilClose) == ("all of it", 9, false))
    }

    @Test("beyond its limit is rejected with 413 as early as possible")
    func limit() throws {
        #expect(throws: HTTPError.contentTooLarge(limit: 4)) {
            try Self.decode("", .bytes(5), byteLimit: 4)
        }
        #expect(throws: HTTPError.contentTooLarge(limit: 4)) {
            try Self.decode("5\r", .chunked, byteLimit: 4)
        }
        #expect(throws: HTTPError.contentTooLarge(limit: 4)) {
            try Self.decode("3\r\nabc\r\n2\r", .chunked, byteLimit: 4)
        }
        #expect(throws: HTTPError.contentTooLarge(limit: 4)) {
            try Self.decode("FFFFFFFFFFFFFFF\r", .chunked, byteLimit: 4)
        }
        #expect(throws: HTTPError.contentTooLarge(limit: 4)) {
            try Self.decode("abcde", .untilClose, byteLimit: 4)
        }
        #expect(
            try Self.decode("3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", .chunked, byteLimit: 4).body
                == "abcd")
    }

    @Test("has a limit for extensions and trailers")
    func extraBytes() {
        let long = String(repeating: "x", count: 5000)
        #expect(throws: HTTPError.self) { try Self.decode("1;\(long)\r\na\r\n0\r\n\r\n", .chunked) }
        #expect(throws: HTTPError.self) { try Self.decode("0\r\nA: \(long)\r\n\r\n", .chunked) }
        let many = String(repeating: "1;\(String(repeating: "x", count: 99))\r\na\r\n", count: 50)
        #expect(throws: HTTPError.self) { try Self.decode(many, .chunked) }
        #expect(throws: Never.self) {
            try Self.decode("1;\(String(repeating: "x", count: 4000))\r\na\r\n0\r\n\r\n", .chunked)
        }
    }
}
