import Bytes
import Foundation
import GatewayTestSupport
import Identity
import TestKit
import TestTraits
import Testing

@testable import Gateway

/// Where the delivery of a conversation begins, for every way to enter.
@Suite("A connection that enters a conversation while others write", .ownThread)
struct EntryTests {
    /// A race that is lost once in five times fails nearly every run of the few.
    private static let fewTimes = 20
    private static let manyTimes = 1000

    private func node(_ store: TestNode.EmbeddedStoreKind) throws -> TestNode {
        try TestNode(loops: 2, store: store, dialects: TestNode.allDialects) {
            $0.live.limits.allowEverything()
        }
    }

    private static func uuid() -> String { UUID().uuidString.lowercased() }

    private func connect(
        _ path: String, _ user: String, _ grants: Grants = .none, kind: String = "type",
        at node: TestNode
    ) throws -> FrameClient {
        let separator = path.contains("?") ? "&" : "?"
        return try FrameClient(
            "\(path)\(separator)token=\(TestNode.token(user, grants: grants))", kind: kind,
            port: node.port)
    }

    /// Sends these frames in one write.
    private func send(_ frames: [String], by client: FrameClient) throws {
        try client.socket.stream.send(
            frames.flatMap { RawWebSocketClient.frame(opcode: 1, Array($0.utf8)) })
    }

    // MARK: Inboxes

    private func inviteToPets(times: Int, _ store: TestNode.EmbeddedStoreKind) throws {
        let node = try self.node(store)
        let (ann, bob) = (Self.uuid(), Self.uuid())
        let creator = try self.connect("/ws/", ann, kind: "event", at: node)
        let others = try [ann, bob].map {
            try self.connect("/ws/", $0, kind: "event", at: node)
        }
        for client in others { try client.next("connected") }
        for _ in 1...times {
            try creator.send(
                #"""
                {"event":"new_conversation","data":{"pet_id":"\#(Self.uuid())",\#
                "providers":["\#(bob)"]}}
                """#)
            let created = try #require(try creator.next("conversation_created").object("data"))
            let conversation = try #require(created["conversation_id"])
            let frame = #"""
                {"event":"message","data":{"conversation_id":"\#(conversation)","content":"
                """#
            try self.send((1...2).map { "\(frame)\($0)\"}}" }, by: creator)
            for client in others {
                let notice = try client.next("conversation_created").object("data")
                #expect(notice?["conversation_id"] == conversation)
                #expect(try client.next("message").object("data")?["message_id"] == "1")
                #expect(try client.next("message").object("data")?["message_id"] == "2")
            }
        }
    }

    @Test(
        "gets the first message of a new conversation",
        arguments: TestNode.EmbeddedStoreKind.allCases)
    func invitation(_ store: TestNode.EmbeddedStoreKind) throws {
        try self.inviteToPets(times: Self.fewTimes, store)
    }

    @Test(
        "gets the first message of each of a thousand new conversations", .long,
        arguments: TestNode.EmbeddedStoreKind.allCases)
    func manyInvitations(_ store: TestNode.EmbeddedStoreKind) throws {
        try self.inviteToPets(times: Self.manyTimes, store)
    }

    private func joinChats(times: Int, _ store: TestNode.EmbeddedStoreKind) throws {
        let node = try self.node(store)
        let ann = try self.connect("/ws/chats/", "7", at: node)
        let joining = try self.connect("/ws/chats/", "8", at: node)
        let other = try self.connect("/ws/chats/", "8", at: node)
        // The answer shows that the connection has its inbox.
        try other.request(#"{"type":"getChats"}"#, for: "chatsList")
        for _ in 1...times {
            let created = try ann.request(
                #"{"type":"createEmptyChat"}"#, for: "emptyChatCreated")
            let chat = Int(try #require(created.object("data")?.number("id")))
            let message = #"{"type":"newMessage","data":{"chat":\#(chat),"text":"hello"}}"#
            try ann.request(
                #"{"type":"joinChat","data":{"chat":\#(chat)}}"#, for: "chatJoined")
            try ann.request(message, for: "messageCreated")
            try self.send(
                [#"{"type":"joinChat","data":{"chat":\#(chat)}}"#, message, message], by: joining)
            // The notice may have entered before the message that was sent after it.
            for id in [2.0, 3.0] {
                let data = try other.next("messageCreated").object("data")
                #expect(data?.number("chat") == Double(chat) && data?.number("id") == id)
            }
            for _ in 1...2 { try ann.next("messageCreated") }
        }
    }

    @Test(
        "gets the messages that follow the join of another connection of its user",
        arguments: TestNode.EmbeddedStoreKind.allCases)
    func joinElsewhere(_ store: TestNode.EmbeddedStoreKind) throws {
        try self.joinChats(times: Self.fewTimes, store)
    }

    @Test(
        "gets the messages that follow each of a thousand joins of another connection", .long,
        arguments: TestNode.EmbeddedStoreKind.allCases)
    func manyJoinsElsewhere(_ store: TestNode.EmbeddedStoreKind) throws {
        try self.joinChats(times: Self.manyTimes, store)
    }

    // MARK: Opening

    private static func paths(_ conversation: String) -> [(path: String, message: String)] {
        [
            ("/conversations/\(conversation)/", #"{"action":"send_message","content":"x"}"#),
            ("/v1/ws?channel_id=\(conversation)", #"{"type":"message","content":"x"}"#),
            (
                "/ws/",
                #"{"event":"message","data":{"conversation_id":"\#(conversation)","content":"x"}}"#
            ),
            ("/ws/chats/", #"{"type":"newMessage","data":{"chat":"\#(conversation)","text":"x"}}"#),
        ]
    }

    @Test("is accepted when it has entered", arguments: 0..<4)
    func opening(_ protocolNumber: Int) throws {
        let node = try self.node(.memory)
        let path = Self.paths("new")[protocolNumber].path
        let token = try TestNode.token("ann", grants: .listed(["new"]))
        node.store.close(.write)
        let stream = try ByteStream(port: node.port)
        try RawWebSocketClient.requestUpgrade(
            "\(path)\(path.contains("?") ? "&" : "?")token=\(token)", port: node.port, on: stream)
        try Deadline.wait(for: "the join", untilTrue: { node.store.blockedCount > 0 })
        // Both loops have written what they had to write.
        for _ in 1...10 { _ = try HTTPReply.get("/api/health", port: node.port) }
        #expect(!stream.isReadable(within: .zero), "the upgrade was answered too early")
        node.store.open()
        let socket = try RawWebSocketClient(upgradeRequestedOn: stream)
        let client = FrameClient(socket: socket, kind: protocolNumber == 2 ? "event" : "type")
        // It gets what another user sends afterwards.
        let sender = try node.conversationClient("bob", in: "new")
        try sender.sendMessage("hello")
        while true {
            let frame = try client.next()
            if frame.text.contains("hello") { break }
        }
    }

    @Test("is accepted and closed if it cannot enter", arguments: [0, 2])
    func refusedOpening(_ protocolNumber: Int) throws {
        let node = try self.node(.memory)
        node.store.fail(.write)
        let path = Self.paths("new")[protocolNumber].path
        let client = try self.connect(path, "ann", .listed(["new"]), at: node)
        #expect(try client.closeEvent().closeCode == 1013)
    }

    // MARK: Presence

    private func connectAgents(times: Int, _ store: TestNode.EmbeddedStoreKind) throws {
        let node = try self.node(store)
        for number in 1...times {
            let names = ["a\(number)", "b\(number)"]
            let streams = try names.map { name in
                let stream = try ByteStream(port: node.port)
                let token = try TestNode.token(name, grants: .all)
                try RawWebSocketClient.requestUpgrade(
                    "/v1/ws?channel_id=c\(number)&token=\(token)", port: node.port, on: stream)
                return stream
            }
            let agents = try streams.map {
                FrameClient(socket: try RawWebSocketClient(upgradeRequestedOn: $0), kind: "type")
            }
            for (index, agent) in agents.enumerated() {
                let status = try agent.next()
                #expect(status["type"] == "status" && status["status"] == "online")
                #expect(status["agent_id"] == names[1 - index])
                // Once.
                try agent.send(#"{"type":"status_query"}"#)
                #expect(try agent.next()["type"] == "status_list")
            }
        }
    }

    @Test(
        "hears which agents enter at the same time", arguments: TestNode.EmbeddedStoreKind.allCases)
    func agents(_ store: TestNode.EmbeddedStoreKind) throws {
        try self.connectAgents(times: Self.fewTimes, store)
    }

    @Test(
        "hears a thousand times which agents enter at the same time", .long,
        arguments: TestNode.EmbeddedStoreKind.allCases)
    func manyAgents(_ store: TestNode.EmbeddedStoreKind) throws {
        try self.connectAgents(times: Self.manyTimes, store)
    }

    // MARK: Entering twice

    @Test("gets each event once, although it enters a chat that its token lists")
    func twice() throws {
        let node = try self.node(.memory)
        let ann = try self.connect("/ws/chats/", "7", .listed(["5"]), at: node)
        for _ in 1...2 {
            try ann.request(#"{"type":"joinChat","data":{"chat":5}}"#, for: "chatJoined")
        }
        let bob = try self.connect("/ws/chats/", "8", .listed(["5"]), at: node)
        try bob.request(
            #"{"type":"newMessage","data":{"chat":5,"text":"x"}}"#, for: "messageCreated")
        try bob.send(#"{"type":"markRead","data":{"chat":5,"last_read_message":1}}"#)
        // Ann may be at another loop, to which it comes later.
        var kinds: [String] = []
        while kinds.last != "messagesRead" { kinds.append(try ann.next()["type"] ?? "") }
        try ann.send(#"{"type":"nonsense"}"#)
        while kinds.last != "error" { kinds.append(try ann.next()["type"] ?? "") }
        #expect(kinds == ["chatJoined", "messageCreated", "messagesRead", "error"])
        // The user is present until its only connection ends.
        #expect(node.gateway.connectionCount == 2)
    }
}

extension RawWebSocketClient.Event {
    fileprivate var closeCode: UInt16? {
        if case .close(let code, _) = self { code } else { nil }
    }
}
