import Foundation
import TestKit
import Testing

@Suite("A user of Redis that may do what docs/operating.md lists", .serialized)
struct RedisUserTests {
    /// `ACL SETUSER …`, as the page has it.
    private static var rule: [String] {
        get throws {
            let page = try String(contentsOfFile: Checkout.file("docs/operating.md"), encoding: .utf8)
            let line = try #require(page.split(separator: "\n").first { $0.hasPrefix("ACL SETUSER ") })
            return line.split(separator: " ").dropFirst(2).map { $0 == ">PASSWORD" ? ">secret word" : String($0) }
        }
    }

    @Test("is enough for nodes, for what all protocols ask and for what operators do, in a database of its own")
    func enough() throws {
        let redis = try RedisServer()
        let rule = try Self.rule
        try redis.ask(["ACL", "SETUSER"] + rule)
        // Nobody else may do anything.
        let url = "redis://confab:secret%20word@127.0.0.1:\(redis.port)/3"
        let nodes = try (1...2).map { number in
            try ConfabServer(["--store", url, "--node-id", "n\(number)", "--anonymous", "on"])
        }
        try nodes[0].awaitBalance(of: 2)
        let alice = try nodes[0].connect("alice")
        let bob = try nodes[1].connect("bob")
        try bob.post("here")
        try alice.post("one", as: "a1")
        try alice.send(#"{"action":"edit_message","message_id":"2","content":"two"}"#)
        _ = try bob.next("message.edited")
        #expect(try bob.wholeHistory().map { $0["content"] } == ["here", "two"])
        let chats = try WebSocketClient("/ws/chats/?username=carol", port: nodes[1].port)
        try chats.send(#"{"type":"createEmptyChat","data":{"title":"of carol"}}"#)
        try chats.send(#"{"type":"getChats","data":{}}"#)
        while case .text(let text) = try chats.next(), !text.contains("chatsList") {}
        let made = try HTTPReply.post(
            "/api/conversations/create", #"{"title":"room","user_id":"dora"}"#, port: nodes[0].port)
        #expect(made.status == 201, "\(made.body)")
        #expect(try HTTPReply.get("/api/conversations", port: nodes[1].port).status == 200)
        for verb in ["status", "nodes", "shards", "redis", "events"] {
            #expect(try HTTPReply.get("/api/cluster/\(verb)", port: nodes[0].adminPort).status == 200, "\(verb)")
        }
        #expect(try nodes[1].stop() == .exited(0))
        try alice.post("three")
        try Deadline.wait(for: "health to be good", untilTrue: { try nodes[0].health().status == 200 })

        #expect(try redis.ask("ACL", "LOG") == "")
        #expect(try redis.ask("DBSIZE") == "0")
        #expect(try Int(redis.ask("-n", "3", "DBSIZE")) ?? 0 > 5)
    }
}
