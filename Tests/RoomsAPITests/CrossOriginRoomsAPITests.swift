import Bytes
import ChatModel
import Configuration
import ConversationsDialect
import Gateway
import GatewayTestSupport
import Identity
import PetsDialect
import RoomsAPI
import SeededRandom
import TestKit
import TestTraits
import Testing

@Suite("Pages of other origins", .ownThread)
struct CrossOriginRoomsAPITests {
    private static let page = "https://page.test"

    @Test("may read every response if they are listed, and never receive a wildcard")
    func answers() throws {
        let node = try ServedNode()
        let own = "http://127.0.0.1:\(node.port)"
        for origin in [Self.page, own, "HTTPS://PAGE.TEST"] {
            for reply in [
                try node.get("", fields: ["Origin": origin]),
                try node.get("/none", fields: ["Origin": origin]),
                try node.post("/create", "x", fields: ["Origin": origin]),
                try HTTPReply.get("/api/health", port: node.port, fields: ["Origin": origin]),
                try HTTPReply.get("/api/nothing", port: node.port, fields: ["Origin": origin]),
                try HTTPReply.get("/socket.io/", port: node.port, fields: ["Origin": origin]),
            ] {
                #expect(reply.fields["access-control-allow-origin"] == origin)
                #expect(reply.fields["vary"] == "Origin")
                #expect(reply.fields["access-control-expose-headers"]?.contains("ETag") == true)
                #expect(reply.fields["access-control-allow-credentials"] == "true")
            }
        }
        // A request without an origin is not from a page, but a cache must still know that
        // responses vary.
        for reply in [
            try node.get(), try node.get("/none"),
            try HTTPReply.get("/api/health", port: node.port),
        ] {
            #expect(
                reply.fields["vary"] == "Origin"
                    && reply.fields["access-control-allow-origin"] == nil)
        }
        #expect(
            try HTTPReply.get("/nothing", port: node.port, fields: ["Origin": Self.page]).fields[
                "vary"] == nil)
    }

    @Test(
        "are refused if they are not listed",
        arguments: [
            "http://evil.test", "https://page.test.evil", "http://page.test", "null", "",
            "https://page.test/",
        ])
    func foreign(origin: String) throws {
        let node = try ServedNode()
        let refused = try node.post("/create", #"{"title":"Tea"}"#, fields: ["Origin": origin])
        #expect(refused.status == 403)
        #expect(try JSONObject(refused.body).bool("success") == false)
        #expect(try JSONObject(refused.body)["error"]?.hasPrefix("Origin: ") == true)
        #expect(
            refused.fields["access-control-allow-origin"] == nil
                && refused.fields["vary"] == "Origin")
        #expect(try node.page("").ids == [])
        let health = try HTTPReply.get("/api/health", port: node.port, fields: ["Origin": origin])
        #expect(health.status == 200 && health.fields["access-control-allow-origin"] == nil)
        #expect(
            try HTTPReply.get("/socket.io/?EIO=4", port: node.port, fields: ["Origin": origin])
                .status == 403)
    }

    @Test("may send a preflight without a token")
    func preflight() throws {
        let node = try ServedNode { $0.settings.allowsAnonymous = false }
        func ask(_ path: String, _ fields: [String: String]) throws -> HTTPReply {
            try .request("OPTIONS", path, port: node.port, fields: fields)
        }
        let fields = [
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        ]
        for path in ["\(ServedNode.root)/create", "/socket.io/"] {
            let reply = try ask(path, fields.merging(["Origin": Self.page]) { $1 })
            #expect(
                reply.status == 204 && reply.body.isEmpty && reply.fields["content-length"] == nil)
            #expect(reply.fields["access-control-allow-origin"] == Self.page)
            #expect(
                reply.fields["access-control-allow-methods"]
                    == "GET, HEAD, POST, PUT, PATCH, DELETE")
            #expect(
                reply.fields["access-control-allow-headers"]
                    == "authorization, content-type, if-none-match, x-requested-with")
            #expect(reply.fields["access-control-allow-credentials"] == "true")
            #expect(
                reply.fields["access-control-max-age"] == "600" && reply.fields["vary"] == "Origin")
            #expect(
                try ask(path, fields.merging(["Origin": "http://evil.test"]) { $1 }).status == 403)
        }
        #expect(
            try ask("/api/health", fields.merging(["Origin": "http://evil.test"]) { $1 }).status
                == 403)
        // Without an origin this is not a preflight but a plain method.
        #expect(try ask("\(ServedNode.root)/create", [:]).status == 405)
        #expect(try ask("\(ServedNode.root)/create", ["Origin": Self.page]).status == 405)
        #expect(try ask("/elsewhere", fields.merging(["Origin": Self.page]) { $1 }).status == 404)
    }

    @Test("are all allowed if the operator configures that")
    func any() throws {
        let node = try ServedNode { $0.live.origins = OriginPolicy(.init(any: true)) }
        let reply = try node.get("", fields: ["Origin": "http://evil.test"])
        #expect(reply.fields["access-control-allow-origin"] == "http://evil.test")
        #expect(reply.fields["access-control-allow-credentials"] == nil)
        let preflight = try HTTPReply.request(
            "OPTIONS", ServedNode.root, port: node.port,
            fields: ["Origin": "http://evil.test", "Access-Control-Request-Method": "POST"])
        #expect(
            preflight.status == 204 && preflight.fields["access-control-allow-credentials"] == nil)
    }
}
