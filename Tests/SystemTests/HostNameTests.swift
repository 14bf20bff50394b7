import Foundation
import TestKit
import TestTraits
import Testing

/// Pages of other sites that let their own name resolve to the node's address.
@Suite("A request for a name that is not the node's", .programs, .ownThread)
struct HostNameTests {
    private static let host = "rebind.example:8080"
    private static let polling = "/socket.io/?EIO=4&transport=polling"
    private static let paths = ["/conversations", "/api/conversations", Self.polling]

    private static func status(
        _ path: String, _ fields: [String: String], _ server: ConfabServer
    ) throws -> Int {
        try HTTPReply.get(path, port: server.port, fields: fields).status
    }

    private static func upgrade(
        _ path: String, _ fields: [String: String], _ server: ConfabServer
    ) throws -> Int {
        let stream = try ByteStream(port: server.port)
        try RawWebSocketClient.requestUpgrade(
            path, port: server.port, fields: fields, on: stream)
        return try HTTPReply(from: stream).status
    }

    @Test("gets 421 in every protocol where clients need no token")
    func rebinding() throws {
        let server = try ConfabServer()
        let fields = ["Host": Self.host, "Origin": "http://\(Self.host)"]
        for path in Self.paths {
            let reply = try HTTPReply.get(path, port: server.port, fields: fields)
            #expect(reply.status == 421, "\(path)")
            #expect(reply.body.contains("--host"), "\(path): \(reply.body)")
        }
        let created = try HTTPReply.post(
            "/api/conversations/create", #"{"title":"Tea"}"#, port: server.port, fields: fields)
        #expect(created.status == 421)
        let forwarded = fields.merging(["X-Forwarded-Host": "localhost"]) { $1 }
        #expect(try Self.status("/api/conversations", forwarded, server) == 421)
        for path in ["/ws/", "/ws/chats/", "/socket.io/?EIO=4&transport=websocket"] {
            #expect(try Self.upgrade(path, fields, server) == 421, "\(path)")
        }
        #expect(try Self.status("/api/health", fields, server) == 200)
    }

    @Test("is one for other names than those of the options, loopback and addresses")
    func ownNames() throws {
        let server = try ConfabServer([
            "--public-url", "https://chat.example", "--host", "node-1.internal", "--host",
            "Other.Internal.",
        ])
        for host in [
            "localhost:\(server.port)", "127.0.0.1", "[::1]:80", "192.0.2.1:8080", "chat.example",
            "node-1.internal:8080", "other.internal",
        ] {
            for path in Self.paths {
                #expect(try Self.status(path, ["Host": host], server) == 200, "\(host) \(path)")
            }
            #expect(try Self.upgrade("/ws/chats/?username=ann", ["Host": host], server) == 101)
        }
        #expect(try Self.status("/conversations", ["Host": "internal"], server) == 421)
    }

    @Test("passes if a proxy that the operator has named reports it")
    func proxies() throws {
        let server = try ConfabServer(["--trusted-proxies", "loopback"])
        let fields = ["Host": "chat.example", "X-Forwarded-For": "192.0.2.1"]
        #expect(try Self.status("/api/conversations", fields, server) == 200)
        #expect(try Self.status("/api/conversations", ["Host": "chat.example"], server) == 421)
        let passedAddress = ["Host": "127.0.0.1", "X-Forwarded-Host": "chat.example"]
        #expect(try Self.status("/api/conversations", passedAddress, server) == 200)
    }

    @Test("passes where every client needs a token")
    func tokens() throws {
        let server = try ConfabServer(["--anonymous", "off"])
        let token = try ConfabServer.token(for: "ann")
        let fields = ["Host": Self.host, "Authorization": "Bearer \(token)"]
        #expect(try Self.status("/api/conversations", fields, server) == 200)
        #expect(try Self.status("/conversations", ["Host": Self.host], server) == 200)
        #expect(try Self.upgrade("/ws/chats/?token=\(token)", ["Host": Self.host], server) == 101)
    }
}
