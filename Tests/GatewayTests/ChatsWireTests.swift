import Bytes
import ChatModel
import GatewayTestSupport
import Identity
import TestKit
import TestTraits
import Testing

@testable import Gateway

@Suite("Chats on a node", .ownThread)
struct ChatsWireTests {
    private func node(_ store: TestNode.EmbeddedStoreKind = .memory) throws -> TestNode {
        try TestNode(loops: 2, store: store, dialects: TestNode.allDialects) {
            $0.live.limits.allowEverything()
        }
    }

    private func connect(_ user: String, _ grants: Grants = .none, at node: TestNode) throws
        -> FrameClient
    {
        try FrameClient("/ws/chats/?token=\(TestNode.token(user, grants: grants))", port: node.port)
    }

    private func createChat(by client: FrameClient) throws -> Int {
        let created = try client.request(#"{"type":"createEmptyChat"}"#, for: "emptyChatCreated")
        let chat = Int(try #require(created.object("data")?.number("id")))
        try client.request(#"{"type":"joinChat","data":{"chat":\#(chat)}}"#, for: "chatJoined")
        return chat
    }

    private func send(_ count: Int, in chat: String, by client: FrameClient) throws {
        for number in 1...count {
            try client.send(
                #"{"type":"newMessage","data":{"chat":\#(chat),"text":"message \#(number)"}}"#)
        }
        for _ in 1...count { try client.next("messageCreated") }
    }

    private func list(by client: FrameClient) throws -> [JSONObject] {
        try #require(try client.request(#"{"type":"getChats"}"#, for: "chatsList").objects("data"))
    }

    private func updatedAt(_ chat: Int, by client: FrameClient) throws -> String {
        let details = try client.request(
            #"{"type":"getChatDetails","data":{"chatId":\#(chat)}}"#, for: "chatDetails")
        return try #require(details.object("data")?["updated_at"])
    }

    @Test(
        "updated_at follows the last message, in details and in the list, which it sorts"
    )
    func activity() throws {
        let node = try self.node()
        let ann = try self.connect("7", at: node)
        let chats = [try self.createChat(by: ann), try self.createChat(by: ann)]
        for chat in [chats[0], chats[1], chats[0]] {
            // Timestamps have a resolution of one millisecond, and chats of the same one are
            // sorted by id. So the message must be later than those of both chats.
            let before = try chats.map { try self.updatedAt($0, by: ann) }.reduce("", max)
            try Deadline.wait(
                for: "a later moment",
                untilTrue: {
                    try self.send(1, in: "\(chat)", by: ann)
                    return try self.updatedAt(chat, by: ann) > before
                })
            let list = try self.list(by: ann)
            #expect(list.first?.number("id") == Double(chat))
            #expect(try list.first?["updated_at"] == self.updatedAt(chat, by: ann))
            #expect(list.first?["updated_at"] == list.first?.object("last_message")?["timestamp"])
            #expect(
                list.map { $0["updated_at"] ?? "" }
                    == list.map { $0["updated_at"] ?? "" }.sorted(by: >))
        }
    }

    @Test(
        "a message that was just read is not counted as unread",
        arguments: TestNode.EmbeddedStoreKind.allCases)
    func unread(_ store: TestNode.EmbeddedStoreKind) throws {
        let node = try self.node(store)
        let ann = try self.connect("7", at: node)
        let bob = try self.connect("8", at: node)
        let chat = try self.createChat(by: ann)
        try self.send(10, in: "\(chat)", by: ann)
        func unreadCount(behind frame: String) throws -> Double? {
            // Both requests in immediate succession.
            try bob.send(frame)
            return try self.list(by: bob).first?.number("unread_count")
        }
        for read in 0..<10 {
            // A new chat with ten messages for each round, so that each join reports a different
            // message as read.
            let other = try self.createChat(by: ann)
            try self.send(10, in: "\(other)", by: ann)
            #expect(
                try unreadCount(
                    behind: #"{"type":"joinChat","data":{"chat":\#(other),"#
                        + #""last_read_message":\#(read)}}"#
                ) == Double(10 - read)
            )
            #expect(
                try unreadCount(
                    behind: #"{"type":"markRead","data":{"chat":\#(other),"last_read_message":9}}"#)
                    == 1)
            #expect(
                try unreadCount(
                    behind: #"{"type":"markRead","data":{"chat":\#(other),"last_read_message":10}}"#
                ) == 0)
        }
    }

    @Test("requests are answered in their order, including messages and read marks")
    func order() throws {
        let node = try self.node(.sqlite)
        let ann = try self.connect("7", at: node)
        let chats = [try self.createChat(by: ann), try self.createChat(by: ann)]
        var expected: [String] = []
        for round in 1...10 {
            for chat in chats {
                try ann.send(#"{"type":"newMessage","data":{"chat":\#(chat),"text":"\#(round)"}}"#)
                try ann.send(#"{"type":"newMessage","data":{"chat":\#(chat),"text":"\#(round)"}}"#)
                try ann.send(
                    #"{"type":"markRead","data":{"chat":\#(chat),"#
                        + #""last_read_message":\#(2 * round)}}"#)
                try ann.send(#"{"type":"getChatDetails","data":{"chatId":\#(chat)}}"#)
                expected += [
                    "messageCreated \(chat)", "messageCreated \(chat)", "messagesRead \(chat)",
                    "chatDetails \(chat)",
                ]
            }
            try ann.send(#"{"type":"getChats"}"#)
            expected.append("chatsList")
        }
        var seen: [String] = []
        while seen.count < expected.count {
            let frame = try ann.next()
            let data = frame.object("data")
            let chat = (data?.number("chat") ?? data?.number("id")).map { " \(Int($0))" } ?? ""
            seen.append("\(frame["type"] ?? "")\(chat)")
        }
        #expect(seen == expected)
    }

    @Test("a send that waits for earlier requests fails after five seconds")
    func overdue() throws {
        let node = try self.node()
        let ann = try self.connect("7", at: node)
        let chat = try self.createChat(by: ann)
        node.store.close(.other)
        // The list waits for the answer to the first message, and the second message waits for the
        // list. In one write, because nothing is read while the list is being read.
        let message = #"{"type":"newMessage","data":{"chat":\#(chat),"text":"hello"}}"#
        try ann.socket.stream.send(
            [message, #"{"type":"getChats"}"#, message].flatMap {
                RawWebSocketClient.frame(opcode: 1, Array($0.utf8))
            })
        try ann.next("messageCreated")
        let error = try ann.next()
        #expect(error["type"] == "error", "\(error)")
        #expect(error.object("data")?["request"] == "newMessage", "\(error)")
        node.store.open()
        try ann.next("chatsList")
    }

    @Test("a member by a token's grant has no unread messages from before")
    func listed() throws {
        let node = try self.node()
        let ann = try self.connect("7", .listed(["5"]), at: node)
        try self.send(100, in: "5", by: ann)
        let bob = try self.connect("8", .listed(["5"]), at: node)
        try ann.next("chatJoined")
        #expect(try self.list(by: bob).first?.number("unread_count") == 0)
        try bob.request(#"{"type":"joinChat","data":{"chat":5}}"#, for: "chatJoined")
        #expect(try self.list(by: bob).first?.number("unread_count") == 0)
        try self.send(1, in: "5", by: ann)
        try bob.next("messageCreated")
        #expect(try self.list(by: bob).first?.number("unread_count") == 1)
    }
}
