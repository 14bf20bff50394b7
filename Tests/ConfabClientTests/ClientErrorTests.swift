import EventLoop
import HTTPWire
import TLS
import Testing

@testable import ConfabClient

@Suite("A client error")
struct ClientErrorTests {
    private static let errors: [ClientError] =
        [
            .socket(.refused, endpoint: "host:1"), .socket(.timedOut, endpoint: "host:1"),
            .socket(.unreachable, endpoint: "host:1"),
            .socket(.unresolvable(host: "host", reason: "unknown"), endpoint: "host"),
            .tls(.certificateNotAccepted(reason: "expired")),
            .refused(.unauthorized, reason: nil), .refused(.forbidden, reason: nil),
            .refused(.badGateway, reason: "no"),
            .protocolViolation(.reservedBits), .broken(reason: "reset"), .unresponsive(seconds: 50),
            .outboundFull(limitBytes: 5), .closed(nil, reason: ""),
        ]
        + ([1000, 1001, 1006, 1011, 1012, 1013, 4003, 4004, 4401, 4999] as [UInt16]).map {
            .closed(WebSocketCloseCode(rawValue: $0), reason: "why")
        }

    @Test("is described in a sentence", arguments: Self.errors)
    func sentences(error: ClientError) {
        #expect(error.description.first?.isUppercase == true || error.description.hasPrefix("host"))
        #expect(error.description.hasSuffix("."))
    }

    @Test("explains the close codes of the Conversations protocol")
    func closeCodes() {
        #expect(
            ClientError.closed(WebSocketCloseCode(rawValue: 4003), reason: "").description.contains(
                "does not accept the token"))
        #expect(
            ClientError.closed(WebSocketCloseCode(rawValue: 4004), reason: "no").description
                .hasPrefix("Access denied"))
        #expect(
            ClientError.closed(WebSocketCloseCode(rawValue: 4004), reason: "no").description
                .hasSuffix("(no)."))
    }

    @Test("is transient or permanent")
    func transience() {
        let passing = Self.errors.filter(\.isTransient)
        #expect(
            passing == [
                .socket(.refused, endpoint: "host:1"), .socket(.timedOut, endpoint: "host:1"),
                .socket(.unreachable, endpoint: "host:1"),
                .refused(.badGateway, reason: "no"), .broken(reason: "reset"),
                .unresponsive(seconds: 50), .outboundFull(limitBytes: 5),
                .closed(nil, reason: ""),
            ]
                + ([1000, 1001, 1006, 1011, 1012, 1013] as [UInt16]).map {
                    .closed(WebSocketCloseCode(rawValue: $0), reason: "why")
                })
    }
}
