import Configuration
import ConversationsDialect
import Foundation
import GatewayTestSupport
import RoomsDialect
import Telemetry
import TestKit
import TestTraits
import Testing

@testable import Gateway

@Suite("Requests in log and metrics", .ownThread)
struct RequestLogTests {
    private static let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    private func refuse(_ node: TestNode) throws {
        let path = try TestNode.path("ann", in: "room")
        func upgrade(_ path: String, _ lines: String = "") throws -> HTTPReply {
            let stream = try ByteStream(port: node.port)
            try stream.send(TestNode.upgradeRequest(path, lines: lines))
            return try HTTPReply(from: stream)
        }
        #expect(try upgrade(path, "Origin: https://evil.example\r\n").status == 403)
        #expect(try upgrade("/conversations/room/?token=eyJ.forged.one").status == 101)
        #expect(try upgrade("/conversations/room/").status == 101)
        #expect(
            try HTTPReply.get(
                "/api/nothing", port: node.port, fields: ["Origin": "https://evil.example"]
            ).status == 403)
        #expect(try HTTPReply.request("DELETE", "/api/health", port: node.port).status == 405)
        #expect(try HTTPReply.get("/elsewhere", port: node.port).status == 404)
    }

    @Test("are counted by reason and by status")
    func counts() throws {
        let node = try TestNode(loops: 1)
        try self.refuse(node)
        // The last of its requests.
        let metrics = try node.metrics("the unknown path") {
            $0.value(of: .httpResponses, labels: ["code": "404"]) == 1
        }
        func refused(_ reason: String) -> Double? {
            metrics.value(of: .connectionsRefused, labels: ["reason": reason])
        }
        #expect(refused("invalid") == 1)
        #expect(refused("origin") == 2)
        #expect(refused("token") == 2)
        // All reasons are there from the start, so that a rate has a first value.
        #expect(refused("draining") == 0)
        func answered(_ code: String) -> Double? {
            metrics.value(of: .httpResponses, labels: ["code": code])
        }
        #expect(answered("101") == 2)
        #expect(answered("403") == 2)
        #expect(answered("404") == 1)
        #expect(answered("405") == 1)
        #expect(answered("200") == nil)
    }

    @Test("are logged at info with reason, route and trace if they are refused")
    func refusals() throws {
        let node = try TestNode(loops: 1)
        try self.refuse(node)
        _ = try HTTPReply.request(
            "PUT", "/api/live?token=eyJ.secret", port: node.port,
            fields: ["traceparent": Self.trace])
        let lines = try node.log("request refused", atLeast: 6)
        #expect(
            lines.map { $0["reason"] }
                == ["origin", "token", "token", "origin", "invalid", "invalid"])
        #expect(lines[0]["origin"] == "https://evil.example")
        #expect(lines[0]["route"] == "/conversations/{id}")
        #expect(lines[1]["message"]?.contains("not a JSON Web Token") == true)
        #expect(lines[2]["message"] == "a token is required")
        #expect(lines[5]["route"] == "/api/live")
        #expect(lines[5]["traceparent"] == Self.trace)
        #expect(lines[4]["traceparent"] == nil)
        let text = try node.folder.read("log")
        #expect(!text.contains("eyJ"))
    }

    @Test("name the client that a trusted proxy reports, also on a connection that clients share")
    func forwardedAddresses() throws {
        let node = try TestNode(loops: 1)
        let stream = try ByteStream(port: node.port)
        func send(_ request: String, from address: String) throws {
            try stream.send(
                request.replacingOccurrences(
                    of: "\r\n\r\n", with: "\r\nX-Forwarded-For: \(address)\r\n\r\n"))
            _ = try HTTPReply(from: stream)
        }
        let request = "DELETE /api/health HTTP/1.1\r\nHost: chat.example\r\n\r\n"
        try send(request, from: "203.0.113.7")
        try send(request, from: "2001:db8::1")
        try send(
            TestNode.upgradeRequest("/conversations/room/?token=eyJ.forged.one"),
            from: "198.51.100.4:5000")
        let lines = try node.log("request refused", atLeast: 3)
        #expect(
            lines.map { $0["address"] } == ["203.0.113.7", "2001:db8::1", "198.51.100.4"])
    }

    @Test("of Engine.IO have the reason that the node has, and not only that of the protocol")
    func engine() throws {
        let rooms = RoomsDialect(key: RecoveryKey(derivedFrom: TestNode.secret, cluster: "test"))
        let node = try TestNode(dialects: [rooms])
        func poll(_ query: String = "", origin: String? = nil) throws -> Int {
            try HTTPReply.get(
                "/socket.io/?EIO=4&transport=polling\(query)", port: node.port,
                fields: origin.map { ["Origin": $0] } ?? [:]
            ).status
        }
        #expect(try poll(origin: "https://evil.example") == 403)
        #expect(try poll("&sid=unknown") == 400)
        #expect(try poll("&token=eyJ.forged.one") == 200)
        node.gateway.refuseClients()
        #expect(try poll() == 503)
        let lines = try node.log("request refused", atLeast: 4)
        #expect(lines.map { $0["reason"] } == ["origin", "invalid", "token", "draining"])
        #expect(lines[0]["origin"] == "https://evil.example")
        #expect(lines[3]["message"] == "The node is draining; connect again.")
    }

    @Test("are logged up to ten times per reason in ten seconds, and then counted")
    func limit() throws {
        let node = try TestNode(loops: 1)
        for _ in 0..<25 {
            _ = try HTTPReply.request("DELETE", "/api/health", port: node.port)
        }
        #expect(try HTTPReply.get("/api/", port: node.port).status == 404)
        #expect(try node.log("request refused", atLeast: 10).count == 10)
        let suppressed = try Deadline.wait(for: "the suppressed", within: .seconds(30)) {
            try node.log().first { $0["msg"] == "refusals suppressed" }
        }
        #expect(suppressed["reason"] == "invalid")
        #expect(suppressed.number("suppressed") == 15)
        #expect(try node.log("request refused", atLeast: 10).count == 10)
    }

    @Test("and connections name user, conversation, reason and trace at debug")
    func connections() throws {
        let node = try TestNode(loops: 2, logLevel: .debug)
        let token = try TestNode.token("ann")
        // Loops hand connections over; the trace moves along.
        for number in 0..<8 {
            let client = ConversationClient(
                try RawWebSocketClient(
                    "/conversations/room\(number)/?token=\(token)", port: node.port,
                    fields: ["traceparent": Self.trace]))
            try client.synchronize()
            try client.send(#"{"action":"edit_message","message_id":"7","content":"none"}"#)
            _ = try client.next("error")
            try client.socket.close()
        }
        let opened = try node.log("connection opened", atLeast: 8)
        #expect(Set(opened.map { $0["user"] }) == ["default/ann"])
        #expect(
            Set(opened.compactMap { $0["conversation"] })
                == Set((0..<8).map { "default/room\($0)" }))
        #expect(opened.allSatisfy { $0["traceparent"] == Self.trace })
        let joined = try node.log("conversation joined", atLeast: 8)
        #expect(joined.allSatisfy { $0["traceparent"] == Self.trace && $0["user"] != nil })
        let rejected = try node.log("command rejected", atLeast: 8)
        #expect(rejected.allSatisfy { $0["reason"] == "message_id: there is no message 7" })
        let closed = try node.log("connection closed", atLeast: 8)
        #expect(closed.allSatisfy { $0["traceparent"] == Self.trace })
        #expect(closed.allSatisfy { $0["user"] == "default/ann" })

        // The next connections use the same slots, and have no trace.
        let plain = try node.conversationClient("bob")
        node.gateway.drain(over: .milliseconds(1))
        _ = try plain.closeEvent()
        let last = try #require(try node.log("connection closed", atLeast: 9).last)
        #expect(last["user"] == "default/bob" && last["traceparent"] == nil)
        #expect(last.number("code") == 1012)
        #expect(last["reason"] == "the node is going down; connect again")
    }

    @Test("are logged with status, route and user at debug")
    func answers() throws {
        let node = try TestNode(loops: 1, logLevel: .debug)
        let token = try TestNode.token("ann")
        _ = try HTTPReply.get(
            "/api/health", port: node.port,
            fields: ["Authorization": "Bearer \(token)", "traceparent": Self.trace])
        let line = try #require(try node.log("request answered", atLeast: 1).first)
        #expect(line.number("status") == 200)
        #expect(line["method"] == "GET")
        #expect(line["route"] == "/api/health")
        #expect(line["user"] == "default/ann")
        #expect(line["traceparent"] == Self.trace)
    }

    @Test("count what the store has acknowledged")
    func store() throws {
        for kind in TestNode.EmbeddedStoreKind.allCases {
            let node = try TestNode(loops: 2, store: kind)
            let client = try node.conversationClient("ann")
            for number in 1...5 { try client.post("message \(number)") }
            // Bytes count from the submission of a write on.
            let metrics = try node.metrics("five messages, and no pending write") {
                $0.value(of: .storeWriteBytes) ?? 0 >= 45
                    && $0.value(of: .storePendingBatches) == 0
            }
            #expect(metrics.value(of: .storeWriteBytes) == 45)
            #expect(metrics.value(of: .storeWrites) ?? 0 >= 6)
            #expect(metrics.value(of: .storeErrors) == 0)
        }
    }
}
