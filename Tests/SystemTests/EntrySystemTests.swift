import Foundation
import TestKit
import TestTraits
import Testing

/// Where the delivery of a conversation begins, with the writer and the reader at two nodes that
/// share a store. `EntryTests` has the same at one node.
@Suite(
    "A client that enters while others write at another node", .programs, .serialized, .ownThread)
struct EntrySystemTests {
    private static let fewTimes = 5
    private static let manyTimes = 1000
    private static let stores = [StoreDeployment.redis, .sentinel, .cluster]

    /// A client of a protocol with JSON frames.
    private struct FrameReader {
        let socket: RawWebSocketClient

        func send(_ texts: String...) throws {
            try self.socket.stream.send(
                texts.flatMap { RawWebSocketClient.frame(opcode: 1, Array($0.utf8)) })
        }

        /// The next frame that contains these texts. Frames before it are skipped.
        @discardableResult
        func next(_ texts: String...) throws -> JSONObject {
            while true {
                guard case .text(let text) = try self.socket.next() else {
                    throw TestFailure("the connection ended before \(texts)")
                }
                if texts.allSatisfy({ text.contains($0) }) { return try JSONObject(text) }
            }
        }
    }

    private func connect(
        _ path: String, _ user: String, conversations: [String] = [], at node: ConfabServer
    ) throws -> FrameReader {
        let token = try ConfabServer.token(for: user, conversations: conversations)
        return FrameReader(
            socket: try RawWebSocketClient(
                "\(path)\(path.contains("?") ? "&" : "?")token=\(token)", port: node.port))
    }

    private static func uuid() -> String { UUID().uuidString.lowercased() }

    private func sendWhenOpen(times: Int, _ store: StoreDeployment = .redis) throws {
        let deployment = try AnonymousDeployment(store, [])
        for number in 1...times {
            let room = "open-\(number)"
            let sender = try self.connect(
                "/conversations/\(room)/", "a", conversations: [room], at: deployment.servers[0])
            let paths = [
                "/conversations/\(room)/", "/v1/ws?channel_id=\(room)", "/ws/", "/ws/chats/",
            ]
            let readers = try paths.enumerated().map {
                try self.connect($1, "b\($0)", conversations: [room], at: deployment.servers[1])
            }
            try sender.send(#"{"action":"send_message","content":"the first"}"#)
            for reader in readers { try reader.next("the first") }
        }
    }

    @Test("gets what is sent after its WebSocket opened")
    func open() throws { try self.sendWhenOpen(times: Self.fewTimes) }

    @Test("gets a thousand times what is sent after its WebSocket opened", .long, arguments: stores)
    func openOften(_ store: StoreDeployment) throws {
        try self.sendWhenOpen(times: Self.manyTimes, store)
    }

    private func invite(times: Int, _ store: StoreDeployment = .redis) throws {
        let deployment = try AnonymousDeployment(store, [])
        for _ in 1...times {
            let (ann, bob) = (Self.uuid(), Self.uuid())
            let creator = try self.connect("/ws/", ann, at: deployment.servers[0])
            let provider = try self.connect("/ws/", bob, at: deployment.servers[1])
            try creator.send(
                #"""
                {"event":"new_conversation","data":{"pet_id":"\#(Self.uuid())",\#
                "providers":["\#(bob)"]}}
                """#)
            let created = try creator.next("conversation_created").object("data")
            let id = try #require(created?["conversation_id"])
            try creator.send(
                #"{"event":"message","data":{"conversation_id":"\#(id)","content":"one"}}"#,
                #"{"event":"message","data":{"conversation_id":"\#(id)","content":"two"}}"#)
            try provider.next("conversation_created", id)
            for number in ["1", "2"] {
                let data = try provider.next(#""event":"message""#).object("data")
                #expect(data?["message_id"] == number)
            }
        }
    }

    @Test("gets the first message of a conversation that another user creates")
    func invitation() throws { try self.invite(times: Self.fewTimes) }

    @Test("gets the first message of each of a thousand conversations", .long, arguments: stores)
    func manyInvitations(_ store: StoreDeployment) throws {
        try self.invite(times: Self.manyTimes, store)
    }

    private func joinElsewhere(times: Int, _ store: StoreDeployment = .redis) throws {
        let deployment = try AnonymousDeployment(store, [])
        for number in 1...times {
            let owner = try self.connect("/ws/chats/", "o\(number)", at: deployment.servers[0])
            try owner.send(#"{"type":"createEmptyChat"}"#)
            let created = try owner.next("emptyChatCreated").object("data")
            let chat = Int(try #require(created?.number("id")))
            let first = try self.connect("/ws/chats/", "u\(number)", at: deployment.servers[0])
            let second = try self.connect("/ws/chats/", "u\(number)", at: deployment.servers[1])
            try first.send(
                #"{"type":"joinChat","data":{"chat":\#(chat)}}"#,
                #"{"type":"newMessage","data":{"chat":\#(chat),"text":"at once"}}"#)
            try second.next("messageCreated", "at once")
        }
    }

    @Test("gets the messages that follow a join of its user on another connection")
    func join() throws { try self.joinElsewhere(times: Self.fewTimes) }

    @Test(
        "gets the messages that follow each of a thousand joins of its user", .long,
        arguments: stores)
    func manyJoins(_ store: StoreDeployment) throws {
        try self.joinElsewhere(times: Self.manyTimes, store)
    }

    private func connectAgents(times: Int, _ store: StoreDeployment = .redis) throws {
        let deployment = try AnonymousDeployment(store, [])
        for number in 1...times {
            let names = ["a\(number)", "b\(number)"]
            let streams = try names.enumerated().map { node, name in
                let stream = try ByteStream(port: deployment.servers[node].port)
                let token = try ConfabServer.token(
                    for: name, conversations: ["agents-\(number)"])
                try RawWebSocketClient.requestUpgrade(
                    "/v1/ws?channel_id=agents-\(number)&token=\(token)",
                    port: deployment.servers[node].port, on: stream)
                return stream
            }
            let agents = try streams.map {
                FrameReader(socket: try RawWebSocketClient(upgradeRequestedOn: $0))
            }
            try agents[0].next(#""agent_id":"\#(names[1])","status":"online""#)
            try agents[1].next(#""agent_id":"\#(names[0])","status":"online""#)
        }
    }

    @Test("hears which agents enter at the same time")
    func agents() throws { try self.connectAgents(times: Self.fewTimes) }

    @Test("hears a thousand times which agents enter at the same time", .long, arguments: stores)
    func manyAgents(_ store: StoreDeployment) throws {
        try self.connectAgents(times: Self.manyTimes, store)
    }
}
