import Bytes
import Configuration
import GatewayTestSupport
import SeededRandom
import TestKit
import Testing

@testable import Gateway

/// What changed while a client was away: edits, deletions, and a store that is another than the client knew.
@Suite("Resuming after changes")
struct ResumeChangesTests {
    private static func node(
        _ store: TestNode.StoreKind = .memory, loops: Int = 1, history: Int = 10_000,
        in folder: TemporaryFolder? = nil
    ) throws -> TestNode {
        try TestNode(
            loops: loops, store: store, in: folder, history: history, dialects: TestNode.allDialects
        ) {
            $0.live.limits.allowEverything()
        }
    }

    private static func edit(_ id: Int, to content: String) -> String {
        #"{"action":"edit_message","message_id":"\#(id)","content":"\#(content)"}"#
    }

    private static func delete(_ id: Int) -> String {
        #"{"action":"delete_message","message_id":"\#(id)"}"#
    }

    /// What a client is shown of messages, up to the message with this content, in a line each.
    private static func receivedLines(_ reader: ConversationClient, until content: String) throws
        -> [String]
    {
        var lines: [String] = []
        while true {
            let frame = try reader.next()
            if frame["type"] == "error" {
                lines.append(
                    "error \(frame["error"] ?? "") \(frame["oldest_id"] ?? frame["head"] ?? "")")
            }
            guard let message = frame.object("message"), let type = frame["type"],
                let id = message["id"]
            else { continue }
            if type == "chat_message", message["content"] == content { return lines }
            lines.append("\(type) \(id) \(message["content"] ?? "")")
        }
    }

    /// Three messages of which two change, and then a fourth; answers the revision of the third as it was posted.
    private static func changeHistory(_ author: ConversationClient) throws -> Int {
        for content in ["one", "two"] { try author.post(content) }
        let revision = try #require(try author.post("three").number("rev"))
        try author.send(Self.edit(2, to: "zwei"))
        _ = try author.next("message.edited")
        try author.send(Self.delete(1))
        _ = try author.next("message.deleted")
        try author.post("four")
        return Int(revision)
    }

    @Test(
        "tells once of older messages that changed meanwhile, before what is new",
        arguments: TestNode.StoreKind.allCases, [true, false])
    func changed(store: TestNode.StoreKind, namesRevision: Bool) throws {
        let node = try Self.node(store, loops: 2)
        let author = try node.conversationClient("author")
        let revision = try Self.changeHistory(author)

        let reader = try node.conversationClient(
            "reader", after: "3\(namesRevision ? "&rev=\(revision)" : "")")
        try author.post("end")
        #expect(
            try Self.receivedLines(reader, until: "end") == [
                "message.edited 2 zwei", "message.deleted 1 ", "chat_message 4 four",
            ])

        // It has seen them.
        let again = try node.conversationClient(
            "reader", after: "4\(namesRevision ? "&rev=\(revision + 3)" : "")")
        try author.post("the end")
        #expect(try Self.receivedLines(again, until: "the end") == ["chat_message 5 end"])
    }

    @Test("tells of a message that changed and changed back, and of the newest that the client has")
    func newest() throws {
        let node = try Self.node()
        let author = try node.conversationClient("author")
        let revision = try #require(try author.post("one").number("rev")).description.dropLast(2)
        for content in ["eins", "one"] {
            try author.send(Self.edit(1, to: content))
            _ = try author.next("message.edited")
        }
        for query in ["1", "1&rev=\(revision)"] {
            let reader = try node.conversationClient("reader", after: query)
            try author.post("end")
            #expect(try Self.receivedLines(reader, until: "end").first == "message.edited 1 one")
        }
    }

    @Test("every frame that shows a message has its revision, in order")
    func revisions() throws {
        let node = try Self.node()
        let author = try node.conversationClient("author")
        _ = try Self.changeHistory(author)
        let reader = try node.conversationClient("reader", after: "0")
        var revisions: [Double] = []
        for _ in 1...4 {
            let frame = try reader.next("chat_message")
            #expect(frame.number("rev") == frame.object("message")?.number("rev"))
            revisions.append(try #require(frame.number("rev")))
        }
        #expect(Set(revisions).count == 4)
        try author.send(Self.edit(3, to: "drei"))
        let edited = try reader.next("message.edited")
        #expect(try #require(edited.number("rev")) > revisions.max()!)
        #expect(
            edited.object("message")?.bool("is_edited") == true
                && edited.object("message")?.bool("is_deleted") == false)
        try author.send(Self.delete(3))
        let deleted = try reader.next("message.deleted")
        #expect(deleted.number("rev") == edited.number("rev")! + 1)
        #expect(
            deleted.object("message")?.bool("is_edited") == false
                && deleted.object("message")?.bool("is_deleted") == true)
        try reader.send(#"{"action":"fetch_messages"}"#)
        let fetched = try reader.next("messages_fetched")
        #expect(fetched.number("rev") == deleted.number("rev"))
        #expect(
            fetched.objects("messages")?.map { $0.number("rev") } == [
                revisions[3], deleted.number("rev"), revisions[1], revisions[0],
            ])
    }

    @Test(
        "tells of very many changes, in the order in which they were made",
        arguments: TestNode.StoreKind.allCases)
    func many(store: TestNode.StoreKind) throws {
        let node = try Self.node(store)
        let author = try node.conversationClient("author")
        try author.post("first")
        for number in 2...250 { try author.sendMessage("\(number)") }
        let last = try author.post("last")
        var order = Array(1...250)
        var chance = SeededGenerator(seed: 7)
        order.shuffle(using: &chance)
        for id in order { try author.send(Self.edit(id, to: "x\(id)")) }
        for _ in order { _ = try author.next("message.edited") }
        let reader = try node.conversationClient(
            "reader", after: "251&rev=\(Int(try #require(last.number("rev"))))")
        try author.post("end")
        #expect(
            try Self.receivedLines(reader, until: "end")
                == order.map { "message.edited \($0) x\($0)" })
    }

    /// A client that comes and goes, and keeps what it was told.
    private struct EditReader {
        var peer: TestPeer?
        var after = 0
        var revision = 0
        var contents: [Int: String] = [:]

        mutating func readAvailable() throws {
            guard let peer = self.peer else { return }
            try peer.receiveNow()
            for text in peer.drainTexts() {
                let frame = try JSONObject(text)
                guard let message = frame.object("message"), let id = Int(message["id"] ?? "")
                else { continue }
                if frame["type"] == "chat_message" {
                    #expect(id == self.after + 1)
                    self.after = id
                }
                // Whatever was told before the message itself is told again by it.
                if id <= self.after { self.contents[id] = message["content"] }
                self.revision = max(self.revision, Int(frame.number("rev") ?? 0))
            }
        }
    }

    @Test(
        "leaves nobody with old words, however often it breaks while others edit",
        arguments: [1, 3], 0..<4 as Range<UInt64>)
    func concurrent(loops: Int, seed: UInt64) throws {
        let node = try Self.node(seed % 2 == 0 ? .memory : .sqlite, loops: loops)
        var chance = SeededGenerator(seed: seed &* 31 &+ UInt64(loops))
        let author = try node.peer("author", preventsHandoff: true)
        var readers = [EditReader](repeating: EditReader(), count: 6)
        var said = 0
        for step in 0..<1200 {
            let place = Int.random(in: 0..<readers.count, using: &chance)
            switch Int.random(in: 0..<10, using: &chance) {
            case 0..<2:
                said += 1
                try author.send(ConversationsFrames.message("\(said)"))
            case 2..<5 where said > 0:
                let id = Int.random(in: 1...said, using: &chance)
                try author.send(
                    step % 9 == 0 ? Self.delete(id) : Self.edit(id, to: "\(id) at \(step)"))
            case 5..<8:
                try readers[place].readAvailable()
            default:
                try readers[place].readAvailable()
                let point =
                    readers[place].revision > 0 && step % 3 > 0
                    ? "&rev=\(readers[place].revision)" : ""
                readers[place].peer =
                    readers[place].peer == nil
                    ? try node.peer(
                        "reader\(place)", after: "\(readers[place].after)\(point)",
                        preventsHandoff: place % 2 == 0) : nil
            }
        }
        for place in readers.indices where readers[place].peer == nil {
            readers[place].peer = try node.peer(
                "reader\(place)", after: "\(readers[place].after)&rev=\(readers[place].revision)")
        }
        // Whoever has heard this has heard everything before it.
        try author.send(ConversationsFrames.message("the end"))
        try TestPeer.wait(
            for: "everybody to be at the end", among: readers.map { $0.peer! } + [author]
        ) {
            for place in readers.indices { try readers[place].readAvailable() }
            return readers.allSatisfy { $0.after == said + 1 }
        }
        let history = try node.conversationClient("judge").wholeHistory()
        let truth = Dictionary(
            uniqueKeysWithValues: history.map { (Int($0["id"] ?? "") ?? 0, $0["content"] ?? "") })
        for place in readers.indices {
            #expect(readers[place].contents == truth, "reader \(place)")
        }
    }

    // MARK: Another store

    @Test(
        "behind a message that there is not is a reset, then live",
        arguments: TestNode.StoreKind.allCases)
    func reset(store: TestNode.StoreKind) throws {
        let node = try Self.node(store, loops: 2)
        let author = try node.conversationClient("author")
        for number in 1...5 { try author.post("\(number)") }
        var head = 5
        for ahead in [(5, ""), (1, "&rev=3"), (5, "&rev=999"), (.max - 100, "")] as [(Int, String)]
        {
            let reader = try node.conversationClient("reader", after: "\(head + ahead.0)\(ahead.1)")
            let error = try reader.next("error")
            #expect(
                error["error"] == "history reset" && error["action"] == "connect"
                    && error["head"] == "\(head)")
            // Those that were skipped before.
            for number in 1...5 { try author.post("new \(number)") }
            try author.post("end")
            #expect(
                try Self.receivedLines(reader, until: "end")
                    == (1...5).map { "chat_message \(head + $0) new \($0)" })
            head += 6
        }
    }

    @Test(
        "with a revision that there is not is told so, and gets everything",
        arguments: TestNode.StoreKind.allCases)
    func revisionAhead(store: TestNode.StoreKind) throws {
        let node = try Self.node(store)
        let author = try node.conversationClient("author")
        _ = try Self.changeHistory(author)
        let reader = try node.conversationClient("reader", after: "3&rev=99")
        try author.post("end")
        #expect(
            try Self.receivedLines(reader, until: "end") == [
                "error history truncated 1", "chat_message 1 ", "chat_message 2 zwei",
                "chat_message 3 three", "chat_message 4 four",
            ])
    }

    @Test(
        "with a revision older than what is kept is told so, and gets what is kept",
        arguments: TestNode.StoreKind.allCases)
    func revisionTooOld(store: TestNode.StoreKind) throws {
        let node = try Self.node(store, history: 10)
        let author = try node.conversationClient("author")
        for number in 1...30 { try author.post("\(number)") }
        let reader = try node.conversationClient("reader", after: "30&rev=5")
        try author.post("end")
        let lines = try Self.receivedLines(reader, until: "end")
        #expect(lines.first?.hasPrefix("error history truncated 2") == true, "\(lines)")
        #expect(lines.dropFirst().last == "chat_message 30 30" && lines.count >= 10)
    }

    @Test("with what is no revision is an error that names it", arguments: ["-1", "x", "", "01"])
    func badRevision(_ revision: String) throws {
        let node = try Self.node()
        let author = try node.conversationClient("author")
        _ = try Self.changeHistory(author)
        let reader = try node.conversationClient("reader", after: "3&rev=\(revision)")
        try author.post("end")
        #expect(
            try Self.receivedLines(reader, until: "end") == [
                "error rev: is no revision ", "message.edited 2 zwei", "message.deleted 1 ",
                "chat_message 4 four",
            ])
    }

    // MARK: Agents and Rooms

    @Test(
        "in Agents tells of edits and deletions, live and after a break, and of a reset",
        arguments: TestNode.StoreKind.allCases)
    func agents(store: TestNode.StoreKind) throws {
        let node = try Self.node(store)
        let path = "/v1/ws?token=\(try TestNode.token("agent"))&channel_id=room"
        let live = try FrameClient(path, port: node.port)
        try live.request(#"{"type":"status_query"}"#, for: "status_list")
        let author = try node.conversationClient("author")
        let revision = try Self.changeHistory(author)
        #expect(Int(try live.next("message").number("rev") ?? 0) == revision - 2)
        let edited = try live.next("message.edited")
        #expect(
            edited["content"] == "zwei" && edited.number("seq") == 2
                && edited.number("rev") == Double(revision + 1))
        #expect(edited.bool("is_edited") == true && edited.bool("is_deleted") == false)
        let deleted = try live.next("message.deleted")
        #expect(
            deleted["content"] == "" && deleted.number("seq") == 1
                && deleted.number("rev") == Double(revision + 2))
        #expect(deleted.bool("is_edited") == false && deleted.bool("is_deleted") == true)
        #expect(
            try live.request(#"{"type":"message","content":"five"}"#, for: "ACK").number("rev")
                == Double(revision + 4))

        let back = try FrameClient(path + "&after=3&rev=\(revision)", port: node.port)
        #expect(try back.next("message.edited").number("seq") == 2)
        #expect(try back.next("message.deleted").number("seq") == 1)
        #expect(try back.next("message").number("seq") == 4)
        #expect(try back.next("message").number("seq") == 5)

        let reset = try FrameClient(path + "&after=9", port: node.port)
        let error = try reset.next("ERROR")
        #expect(error["error"] == "history reset" && error.number("head") == 5)
        try author.post("six")
        #expect(try reset.next("message").number("seq") == 6)
        let ahead = try FrameClient(path + "&after=1&rev=99", port: node.port)
        let truncated = try ahead.next("ERROR")
        #expect(truncated["error"] == "history truncated" && truncated.number("oldest_id") == 1)
        #expect(try ahead.next("message").number("seq") == 1)
    }

    /// The first event of this name, without its name.
    private static func next(_ name: String, from peer: TestPeer) throws -> JSONObject {
        let start = #"42["\#(name)","#
        while case .text(let text)? = try peer.next() {
            if text.hasPrefix(start) {
                return try JSONObject(String(text.dropFirst(start.count).dropLast()))
            }
        }
        throw TestFailure("the connection ended before \(name)")
    }

    private static func socket(_ user: String, at node: TestNode, _ recovery: String = "{}") throws
        -> (peer: TestPeer, pid: String)
    {
        let peer = try TestPeer(
            "/socket.io/?EIO=4&transport=websocket&token=\(try TestNode.token(user))",
            port: node.port)
        try peer.send("40\(recovery)")
        while case .text(let text)? = try peer.next() {
            if text.hasPrefix("40{") {
                return (peer, try #require(try JSONObject(String(text.dropFirst(2)))["pid"]))
            }
        }
        throw TestFailure("CONNECT was not answered")
    }

    @Test(
        "in Rooms a recovered client is told of edits and deletions as if it had been there, and of a reset",
        arguments: TestNode.StoreKind.allCases)
    func rooms(store: TestNode.StoreKind) throws {
        let node = try Self.node(store)
        let author = try node.conversationClient("author")
        let (live, pid) = try Self.socket("reader", at: node)
        try live.send(#"42["join_room",{"room_id":"room"}]"#)
        _ = try Self.next("conversation_state", from: live)
        _ = try Self.changeHistory(author)
        #expect(try Self.next("message.edited", from: live)["content"] == "zwei")
        let deleted = try Self.next("message.deleted", from: live)
        #expect(
            deleted["id"] == "1" && deleted.bool("is_deleted") == true
                && deleted.bool("is_edited") == false)

        let (back, samePid) = try Self.socket(
            "reader", at: node, #"{"pid":"\#(pid)","offset":"room=3"}"#)
        #expect(samePid == pid)
        #expect(try Self.next("message.edited", from: back)["id"] == "2")
        #expect(try Self.next("message.deleted", from: back)["id"] == "1")
        #expect(try Self.next("new_message", from: back)["id"] == "4")

        let (reset, _) = try Self.socket(
            "reader", at: node, #"{"pid":"\#(pid)","offset":"room=9"}"#)
        let error = try Self.next("error", from: reset)
        #expect(
            error["message"] == "history reset" && error["room_id"] == "room"
                && error["head"] == "4")
        try author.post("five")
        #expect(try Self.next("new_message", from: reset)["id"] == "5")
    }

    @Test("in Rooms with an offset from before the first room is a fresh session")
    func roomless() throws {
        let node = try Self.node()
        let (first, pid) = try Self.socket("reader", at: node)
        try first.send(#"42["join_room",{"room_id":"room"}]"#)
        _ = try Self.next("conversation_state", from: first)
        let (_, fresh) = try Self.socket("reader", at: node, #"{"pid":"\#(pid)","offset":""}"#)
        #expect(fresh != pid)
        let (_, again) = try Self.socket(
            "reader", at: node, #"{"pid":"\#(pid)","offset":"room=0"}"#)
        #expect(again == pid)
        try first.send(#"42["join_room",{"room_id":"other"}]"#)
        _ = try Self.next("conversation_state", from: first)
        let (_, stale) = try Self.socket(
            "reader", at: node, #"{"pid":"\#(pid)","offset":"room=0"}"#)
        #expect(stale != pid)
        let (_, both) = try Self.socket(
            "reader", at: node, #"{"pid":"\#(pid)","offset":"other=0,room=0"}"#)
        #expect(both == pid)
    }

    @Test("a message that is too long is refused under its own id, in every protocol")
    func tooLong() throws {
        let node = try Self.node()
        let long = String(repeating: "x", count: 70_000)
        let (rooms, _) = try Self.socket("ann", at: node)
        try rooms.send(
            #"427["send_message",{"room_id":"room","content":"\#(long)","local_id":"a"}]"#)
        while case .text(let text)? = try rooms.next() {
            if text.hasPrefix(#"42["offset""#) { continue }
            #expect(
                text
                    == #"437[{"ok":false,"error":"the message is longer than 65536 bytes","outcome":"refused","local_id":"a"}]"#
            )
            break
        }
        let conversations = try node.conversationClient("ann")
        try conversations.send(#"{"action":"send_message","content":"\#(long)","local_id":"a"}"#)
        let failed = try conversations.next("message.failed")
        #expect(
            failed["local_id"] == "a" && failed["outcome"] == "refused"
                && failed["error"] == "the message is longer than 65536 bytes")
        let agent = try FrameClient(
            "/v1/ws?token=\(try TestNode.token("ann"))&channel_id=room", port: node.port)
        let error = try agent.request(
            #"{"type":"message","content":"\#(long)","id":"a"}"#, for: "ERROR")
        #expect(
            error["message_id"] == "a" && error["outcome"] == "refused"
                && error["error"] == "the message is longer than 65536 bytes")
        let pets = try FrameClient(
            "/ws/?token=\(try TestNode.token("ann"))", kind: "event", port: node.port)
        let refused = try pets.request(
            #"{"event":"message","data":{"conversation_id":"room","content":"\#(long)","local_id":"a"}}"#,
            for: "error"
        ).object("data")
        #expect(
            refused?["local_id"] == "a" && refused?["outcome"] == "refused"
                && refused?["event"] == "message")
        let chats = try FrameClient(
            "/ws/chats/?token=\(try TestNode.token("ann"))", port: node.port)
        let said = try chats.request(
            #"{"type":"newMessage","data":{"chat":1,"text":"\#(long)"}}"#, for: "error"
        ).object("data")
        #expect(said?["request"] == "newMessage" && said?["outcome"] == "refused")
    }

    @Test(
        "what Rooms refuses before it has read an event is refused in its acknowledgement, with the outcome"
    )
    func unread() throws {
        let node = try Self.node()
        let (ann, _) = try Self.socket("ann", at: node)
        let deep = String(repeating: "[", count: 40) + String(repeating: "]", count: 40)
        for packet in [
            #"421["send_message",{"room_id":"room","content":"\ud800"}]"#,
            #"421["send_message",{"room_id":"room","content":\#(deep)}]"#,
            #"421[ "send_message" ,{"room_id":"room","content":\#(deep)}]"#,
            #"451-1["send_message",{"_placeholder":true,"num":0}]"#,
        ] {
            try ann.send(packet)
            while case .text(let text)? = try ann.next() {
                if text.hasPrefix(#"42["offset""#) { continue }
                #expect(
                    text.hasPrefix(#"431[{"ok":false,"error":""#)
                        && text.hasSuffix(#","outcome":"refused"}]"#), "\(text)")
                break
            }
        }
    }
}
