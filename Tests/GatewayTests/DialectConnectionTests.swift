import GatewayTestSupport
import TestKit
import TestTraits
import Testing

@testable import Gateway

/// How connections of Pets, Chats and Agents begin and end.
@Suite("Connections of Pets, Chats and Agents", .ownThread)
struct DialectConnectionTests {
    struct DialectEndpoint: CustomTestStringConvertible {
        let path: String
        let kind: String
        let error: String
        let authenticate: @Sendable (String) -> String

        var testDescription: String { self.path }
    }

    private static let endpoints = [
        DialectEndpoint(
            path: "/ws/", kind: "event",
            error: #"{"event":"error","data":{"message":"token expired"}}"#,
            authenticate: { #"{"event":"authenticate","data":{"token":"\#($0)"}}"# }),
        DialectEndpoint(
            path: "/ws/chats/", kind: "type",
            error: #"{"type":"error","data":{"message":"token expired"}}"#,
            authenticate: { #"{"type":"authenticate","data":{"token":"\#($0)"}}"# }),
        DialectEndpoint(
            path: "/v1/ws", kind: "type", error: #"{"type":"ERROR","error":"token expired","#,
            authenticate: { #"{"type":"authenticate","token":"\#($0)"}"# }),
    ]
    private static let paths =
        endpoints.map(\.path) + ["/ws", "/ws/chats", "/v1/ws/tenant/default/agent/ann/channel/c"]

    @Test(
        "close with 4401 when the token expires, unless the client has sent a new one",
        arguments: endpoints)
    func expiry(_ endpoint: DialectEndpoint) throws {
        let node = try TestNode(dialects: TestNode.allDialects)
        func connect(_ user: String) throws -> FrameClient {
            let token = try TestNode.token(user, lasting: .seconds(6))
            return try FrameClient(
                "\(endpoint.path)?token=\(token)", kind: endpoint.kind, port: node.port)
        }
        let (ann, bob) = (try connect("ann"), try connect("bob"))
        try bob.request(endpoint.authenticate(TestNode.token("bob")), for: "authenticated")
        var last = ""
        while true {
            let event = try ann.socket.next()
            guard case .text(let text) = event else {
                #expect(event == .close(code: 4401, reason: "token expired"))
                break
            }
            last = text
        }
        #expect(last.hasPrefix(endpoint.error), "\(last)")
        // After that time the other connection is still open.
        try bob.request(endpoint.authenticate(TestNode.token("bob")), for: "authenticated")
    }

    @Test("are refused to pages of foreign origins, before the upgrade", arguments: paths)
    func origin(_ path: String) throws {
        let node = try TestNode(dialects: TestNode.allDialects)
        let path = "\(path)?token=\(try TestNode.token("ann"))"
        for origin in ["https://elsewhere.test", "null"] {
            let refusal = try RawWebSocketClient.refusal(
                of: path, port: node.port, fields: ["Origin": origin])
            #expect(refusal.status == 403)
            #expect(try JSONObject(refusal.body)["error"]?.isEmpty == false)
        }
        _ = try RawWebSocketClient(path, port: node.port, fields: ["Origin": "https://page.test"])
    }

    @Test("get 426 without an upgrade to WebSocket", arguments: paths)
    func plain(_ path: String) throws {
        let node = try TestNode(dialects: TestNode.allDialects)
        let token = try TestNode.token("ann")
        for path in [path, "\(path)?token=\(token)"] {
            #expect(try HTTPReply.get(path, port: node.port).status == 426)
        }
    }

    @Test(
        "of Agents get 401 without a valid token",
        arguments: ["/v1/ws", "/v1/ws/tenant/default/agent/ann/channel/c"])
    func unauthorized(_ path: String) throws {
        let node = try TestNode(dialects: TestNode.allDialects)
        let over = try TestNode.token("ann", lasting: .seconds(-1))
        for query in ["", "?token=", "?token=a.b.c", "?token=\(over)"] {
            let refusal = try RawWebSocketClient.refusal(of: "\(path)\(query)", port: node.port)
            #expect(refusal.status == 401, "\(query)")
            #expect(try JSONObject(refusal.body)["error"]?.isEmpty == false)
        }
        let bad = ["Authorization": "Bearer a.b.c"]
        #expect(
            try RawWebSocketClient.refusal(of: path, port: node.port, fields: bad).status == 401)
    }
}
