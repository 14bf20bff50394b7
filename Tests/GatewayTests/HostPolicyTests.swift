import Bytes
import DialectKit
import GatewayTestSupport
import TestKit
import TestTraits
import Testing

@testable import Configuration
@testable import Gateway

@Suite("The names of a node")
struct HostPolicyTests {
    private static let stranger = IPAddress("192.0.2.7") ?? IPAddress(ipv4: 0)

    private static func policy() throws -> HostPolicy {
        HostPolicy(
            names: ["Node.Internal."],
            publicURL: try PublicURL.parse("https://Chat.Example:8443/"),
            reportedBy: [IPNetwork("10.0.0.0/8")].compactMap(\.self))
    }

    @Test(
        "are loopback names, every address, the public URL's host and the operator's names",
        arguments: [
            "localhost", "localhost:8080", "LOCALHOST.", "a.localhost:1", "127.0.0.1:80",
            "192.0.2.1", "[::1]:8080", "[2001:db8::1]", "chat.example", "chat.example:443",
            "CHAT.example.", "node.internal:9", "",
        ])
    func own(_ host: String) throws {
        #expect(try Self.policy().allows(host, from: Self.stranger, isForwarded: false))
        #expect(try Self.policy().allows(host, from: Self.stranger, isForwarded: true))
    }

    @Test(
        "are no others",
        arguments: [
            "rebind.example", "rebind.example:8080", "localhost.rebind.example", "xlocalhost",
            "x.chat.example", "127.0.0.1.rebind.example", "[::1", "[rebind.example]", "::1",
            ":8080", ".", "0x7f000001", "2130706433",
        ])
    func foreign(_ host: String) throws {
        #expect(try !Self.policy().allows(host, from: Self.stranger, isForwarded: false))
        #expect(try !Self.policy().allows(host, from: Self.stranger, isForwarded: true))
        #expect(HostPolicy.any.allows(host, from: Self.stranger, isForwarded: false))
    }

    @Test("are whatever a proxy reports that the operator has named")
    func reported() throws {
        let proxy = try #require(IPAddress("10.1.2.3"))
        #expect(try Self.policy().allows("any.example", from: proxy, isForwarded: true))
        #expect(try !Self.policy().allows("any.example", from: proxy, isForwarded: false))
    }

    @Test("include a name without a Host, which no browser sends")
    func missing() throws {
        #expect(try Self.policy().allows(nil, from: Self.stranger, isForwarded: false))
    }
}

/// A node on which clients need no token.
@Suite("A page that lets its name resolve to the node's address", .ownThread)
struct RebindingTests {
    private static let host = "rebind.example:8080"

    private static func node() throws -> TestNode {
        try TestNode(dialects: TestNode.allDialects) {
            $0.settings.allowsAnonymous = true
            $0.live.hosts = HostPolicy(names: [])
            $0.routes = [
                .api("/api/conversations", NotFoundHandler()), .page("/", NotFoundHandler()),
            ]
        }
    }

    @Test(
        "gets 421 with the name of the option, in REST, pages, WebSockets and Engine.IO",
        arguments: [
            "/", "/api/conversations", "/socket.io/?EIO=4&transport=polling",
            "/socket.io/?EIO=4&transport=polling&sid=0",
        ], [[:], ["X-Forwarded-Host": "localhost"], ["Origin": "http://\(host)"]])
    func requests(path: String, fields: [String: String]) throws {
        let node = try Self.node()
        let reply = try HTTPReply.get(
            path, port: node.port, fields: fields.merging(["Host": Self.host]) { $1 })
        #expect(reply.status == 421)
        #expect(reply.body.contains("rebind.example:8080") && reply.body.contains("--host"))
    }

    @Test(
        "opens no WebSocket",
        arguments: ["/ws/", "/ws/chats/", "/socket.io/?EIO=4&transport=websocket", "/echo"])
    func webSockets(path: String) throws {
        let node = try Self.node()
        let stream = try ByteStream(port: node.port)
        try RawWebSocketClient.requestUpgrade(
            path, port: node.port, fields: ["Host": Self.host, "Origin": "http://\(Self.host)"],
            on: stream)
        #expect(try HTTPReply(from: stream).status == 421)
    }

    @Test("does not keep probes and requests for addresses from being answered")
    func probes() throws {
        let node = try Self.node()
        for path in ["/api/health", "/api/live"] {
            for host in ["health", "10.0.0.7:8080", "localhost"] {
                let reply = try HTTPReply.get(path, port: node.port, fields: ["Host": host])
                #expect(reply.status == 200, "\(path) for \(host)")
            }
        }
        let polling = try HTTPReply.get(
            "/socket.io/?EIO=4&transport=polling", port: node.port, fields: ["Host": "10.0.0.7"])
        #expect(polling.status == 200)
    }
}
