import Bytes
import Configuration
import GatewayTestSupport
import SeededRandom
import TestKit
import TestTraits
import Testing

@testable import Gateway

/// Changes during a client's absence: edits, deletions, and a store with another history.
@Suite("Resuming after changes", .ownThread)
struct ResumeChangesTests {
    static func node(
        _ store: TestNode.EmbeddedStoreKind = .memory, loops: Int = 1, history: Int = 10_000,
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

    /// One line for each frame about messages, up to the message with this content.
    static func receivedLines(_ reader: ConversationClient, until content: String) throws
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

    /// Posts three messages, changes two of them, and posts a fourth. Returns the revision at which
    /// the third was posted.
    static func changeHistory(_ author: ConversationClient) throws -> Int {
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
        "sends missed changes of older messages once, before new messages",
        arguments: TestNode.EmbeddedStoreKind.allCases, [true, false])
    func changed(store: TestNode.EmbeddedStoreKind, namesRevision: Bool) throws {
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

        // This client has received the changes.
        let again = try node.conversationClient(
            "reader", after: "4\(namesRevision ? "&rev=\(revision + 3)" : "")")
        try author.post("the end")
        #expect(try Self.receivedLines(again, until: "the end") == ["chat_message 5 end"])
    }

    @Test("sends changes that were reverted, and changes of the client's newest message")
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

    @Test("sends changes before the reactions to the client's newest message, without a revision")
    func reactionsToNewest() throws {
        let node = try Self.node()
        let author = try node.conversationClient("author")
        for content in ["one", "two"] { try author.post(content) }
        try author.send(Self.edit(1, to: "eins"))
        _ = try author.next("message.edited")
        // The revision of message 2 is then above that of the edit.
        try author.send(#"{"action":"react","message_id":"2","emoji":"👍","on":true}"#)
        _ = try author.next("reactions")
        let reader = try node.conversationClient("reader", after: "2")
        try author.post("end")
        #expect(try Self.receivedLines(reader, until: "end") == ["message.edited 1 eins"])
    }

    @Test("every frame with a message has its revision, in order")
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
        "sends very many changes in their order",
        arguments: TestNode.EmbeddedStoreKind.allCases)
    func many(store: TestNode.EmbeddedStoreKind) throws {
        let node = try Self.node(store)
        let author = try node.conversationClient("author")
        try author.post("first")
        for number in 2...250 { try author.sendMessage("\(number)") }
        let last = try author.post("last")
        var order = Array(1...250)
        var generator = SeededGenerator(seed: 7)
        order.shuffle(using: &generator)
        for id in order { try author.send(Self.edit(id, to: "x\(id)")) }
        for _ in order { _ = try author.next("message.edited") }
        let reader = try node.conversationClient(
            "reader", after: "251&rev=\(Int(try #require(last.number("rev"))))")
        try author.post("end")
        #expect(
            try Self.receivedLines(reader, until: "end")
                == order.map { "message.edited \($0) x\($0)" })
    }

    /// A client that disconnects and resumes, and records the messages that it receives.
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
                // A change before the message itself is repeated by the message.
                if id <= self.after { self.contents[id] = message["content"] }
                self.revision = max(self.revision, Int(frame.number("rev") ?? 0))
            }
        }
    }

    @Test(
        "leaves no client with outdated messages, however often it reconnects during edits",
        arguments: [1, 3], TestRun.isLong ? 0..<4 : 0..<2 as Range<UInt64>)
    func concurrent(loops: Int, seed: UInt64) throws {
        let node = try Self.node(seed % 2 == 0 ? .memory : .sqlite, loops: loops)
        var generator = SeededGenerator(seed: seed &* 31 &+ UInt64(loops))
        let author = try node.peer("author", preventsHandoff: true)
        var readers = [EditReader](repeating: EditReader(), count: 6)
        var posted = 0
        for step in 0..<1200 {
            let index = Int.random(in: 0..<readers.count, using: &generator)
            switch Int.random(in: 0..<10, using: &generator) {
            case 0..<2:
                posted += 1
                try author.send(ConversationsFrames.message("\(posted)"))
            case 2..<5 where posted > 0:
                let id = Int.random(in: 1...posted, using: &generator)
                try author.send(
                    step % 9 == 0 ? Self.delete(id) : Self.edit(id, to: "\(id) at \(step)"))
            case 5..<8:
                try readers[index].readAvailable()
            default:
                try readers[index].readAvailable()
                let point =
                    readers[index].revision > 0 && step % 3 > 0
                    ? "&rev=\(readers[index].revision)" : ""
                readers[index].peer =
                    readers[index].peer == nil
                    ? try node.peer(
                        "reader\(index)", after: "\(readers[index].after)\(point)",
                        preventsHandoff: index % 2 == 0) : nil
            }
        }
        for index in readers.indices where readers[index].peer == nil {
            readers[index].peer = try node.peer(
                "reader\(index)", after: "\(readers[index].after)&rev=\(readers[index].revision)")
        }
        try author.send(ConversationsFrames.message("the end"))
        try TestPeer.wait(
            for: "everybody to be at the end", among: readers.map { $0.peer! } + [author]
        ) {
            for index in readers.indices { try readers[index].readAvailable() }
            return readers.allSatisfy { $0.after == posted + 1 }
        }
        // A change may need a message that only the store has, so a later message may overtake it.
        let judge = try node.conversationClient("judge")
        var outdated: [String] = []
        let deadline = Deadline()
        repeat {
            let history = try judge.wholeHistory()
            for index in readers.indices { try readers[index].readAvailable() }
            outdated = history.flatMap { message in
                let (id, content) = (Int(message["id"] ?? "") ?? 0, message["content"])
                return readers.indices.filter { readers[$0].contents[id] != content }.map {
                    "reader \($0) has \(id): \(readers[$0].contents[id] ?? "nothing")"
                }
            }
        } while !outdated.isEmpty && !deadline.isExpired
        #expect(outdated == [])
    }

    // MARK: Another store

    @Test(
        "after a message that does not exist is a reset, then live",
        arguments: TestNode.EmbeddedStoreKind.allCases)
    func reset(store: TestNode.EmbeddedStoreKind) throws {
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
            for number in 1...5 { try author.post("new \(number)") }
            try author.post("end")
            #expect(
                try Self.receivedLines(reader, until: "end")
                    == (1...5).map { "chat_message \(head + $0) new \($0)" })
            head += 6
        }
    }

    @Test(
        "with a revision that does not exist reports that and sends everything",
        arguments: TestNode.EmbeddedStoreKind.allCases)
    func revisionAhead(store: TestNode.EmbeddedStoreKind) throws {
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
        "with a revision older than the history reports that and sends what is retained",
        arguments: TestNode.EmbeddedStoreKind.allCases)
    func revisionTooOld(store: TestNode.EmbeddedStoreKind) throws {
        let node = try Self.node(store, history: 10)
        let author = try node.conversationClient("author")
        for number in 1...30 { try author.post("\(number)") }
        let reader = try node.conversationClient("reader", after: "30&rev=5")
        try author.post("end")
        let lines = try Self.receivedLines(reader, until: "end")
        #expect(lines.first?.hasPrefix("error history truncated 2") == true, "\(lines)")
        #expect(lines.dropFirst().last == "chat_message 30 30" && lines.count >= 10)
    }

    @Test(
        "with an invalid revision is an error that names the parameter",
        arguments: ["-1", "x", "", "01"])
    func badRevision(_ revision: String) throws {
        let node = try Self.node()
        let author = try node.conversationClient("author")
        _ = try Self.changeHistory(author)
        let reader = try node.conversationClient("reader", after: "3&rev=\(revision)")
        try author.post("end")
        #expect(
            try Self.receivedLines(reader, until: "end") == [
                "error rev: must be a revision ", "message.edited 2 zwei", "message.deleted 1 ",
                "chat_message 4 four",
            ])
    }
}
