import Testing

@testable import HTTPWire

@Suite("A traceparent")
struct TraceParentTests {
    private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    private static let valid = "00-\(trace)-00f067aa0ba902b7-01"

    @Test("is read as it was sent")
    func unchanged() {
        #expect(TraceParent(Self.valid)?.description == Self.valid)
    }

    @Test("of a later version may have further fields, which are left out")
    func laterVersion() {
        let later = "cc" + Self.valid.dropFirst(2)
        #expect(TraceParent(later)?.description == later)
        #expect(TraceParent("\(later)-what-the-future-holds")?.description == later)
    }

    @Test(
        "is ignored if it is invalid",
        arguments: [
            "", "00", "00-\(trace)-00f067aa0ba902b7", "00-\(trace)-00f067aa0ba902b7-1",
            "ff-\(trace)-00f067aa0ba902b7-01", "00-\(trace)-0000000000000000-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-\(trace.uppercased())-00f067aa0ba902b7-01", "0x-\(trace)-00f067aa0ba902b7-01",
            "00-\(trace)-00f067aa0ba902b7-0g", "00_\(trace)_00f067aa0ba902b7_01",
            "\(valid)-more", "cc-\(trace)-00f067aa0ba902b7-01.more",
            "cc-\(trace)-00f067aa0ba902b7-01-", " \(valid)",
            "00-\(trace)-00f067aa0ba902b7-01\u{0}", "é0-\(trace)-00f067aa0ba902b7-01",
        ])
    func invalid(_ text: String) {
        #expect(TraceParent(text) == nil)
    }

    @Test("is ignored if a request has several")
    func several() throws {
        func trace(_ lines: String) throws -> TraceParent? {
            let request = Array("GET / HTTP/1.1\r\nHost: here\r\n\(lines)\r\n".utf8)
            var parser = HTTPRequestParser()
            var head = HTTPRequestHead()
            let limits = HTTPLimits(headBytes: 8192, requestLineBytes: 4096)
            let isComplete = try parser.parse(request.span.bytes, into: &head, limits: limits)
            #expect(isComplete)
            return TraceParent(head.fields, in: request.span.bytes)
        }
        #expect(try trace("") == nil)
        #expect(try trace("TraceParent:  \(Self.valid) \r\n")?.description == Self.valid)
        #expect(
            try trace("traceparent: \(Self.valid)\r\ntraceparent: \(Self.valid)\r\n") == nil)
    }
}
