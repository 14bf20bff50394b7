import Configuration
import EngineIO
import HTTPWire
import Testing

@testable import Gateway

@Suite("The response to a page of another origin")
struct CrossOriginTests {
    @Test(
        "names the page's origin if it is allowed, and always varies by origin",
        arguments: [
            // The allowed origins, the request's origin, whether it is allowed, the fields.
            (AllowedOrigins(others: ["https://a.test"]), nil, true, ["Vary: Origin"]),
            (AllowedOrigins(others: ["https://a.test"]), "https://b.test", false, ["Vary: Origin"]),
            (
                AllowedOrigins(others: ["https://a.test"]), "https://a.test", true,
                [
                    "Vary: Origin", "Access-Control-Allow-Origin: https://a.test",
                    "Access-Control-Allow-Credentials: true",
                    "Access-Control-Expose-Headers: ETag, Location, Retry-After",
                ]
            ),
            // If every page is allowed, none may read responses with the cookies of its user.
            (
                AllowedOrigins(any: true), "https://b.test", true,
                [
                    "Vary: Origin", "Access-Control-Allow-Origin: https://b.test",
                    "Access-Control-Expose-Headers: ETag, Location, Retry-After",
                ]
            ),
            (
                AllowedOrigins(own: true), "http://here:8000", true,
                [
                    "Vary: Origin", "Access-Control-Allow-Origin: http://here:8000",
                    "Access-Control-Allow-Credentials: true",
                    "Access-Control-Expose-Headers: ETag, Location, Retry-After",
                ]
            ),
            (AllowedOrigins(own: true), "https://here:8000", false, ["Vary: Origin"]),
        ] as [(AllowedOrigins, String?, Bool, [String])])
    func fields(allowed: AllowedOrigins, origin: String?, isAllowed: Bool, fields: [String]) {
        let result = CrossOrigin(
            origin, host: "here:8000", isSecure: false, OriginPolicy(allowed))
        #expect(result.isAllowed == isAllowed)
        #expect(result.fields.map { "\($0.name): \($0.value)" } == fields)
    }

    @Test(
        "is only for paths that pages of other origins may use",
        arguments: [
            ("/api", true), ("/api/", true), ("/api/rooms?x=1", true), ("/apiary", false),
            ("/socket.io", true), ("/socket.io/?EIO=4", true), ("/socket.iou/", false),
            ("/", false), ("/conversations/1/", false), ("/x/api/", false),
        ])
    func paths(path: String, applies: Bool) throws {
        let bytes = Array("GET \(path) HTTP/1.1\r\nHost: here\r\n\r\n".utf8)
        var parser = HTTPRequestParser()
        var head = HTTPRequestHead()
        #expect(try parser.parse(bytes.span.bytes, into: &head, limits: HTTPLimits()))
        let route = RouterTests.router().route(
            for: bytes.span.bytes.extracting(head.path), wantsWebSocket: false)
        #expect((route.crossOrigin != .none) == applies)
    }
}
