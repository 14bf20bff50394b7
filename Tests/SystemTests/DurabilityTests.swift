import SeededRandom
import TestKit
import TestTraits
import Testing

@Suite("Answered messages are stored:", .programs, .ownThread)
struct DurabilityTests {
    /// A client that sends without waiting for answers.
    private final class Sender {
        let client: ConversationClient
        let name: String
        private(set) var sent = 0
        /// The id of each answered message, by client id.
        private(set) var answered: [String: String] = [:]

        init(_ server: ConfabServer, _ name: String) throws {
            self.client = try server.connect(name, to: "burst")
            self.name = name
        }

        func send() throws {
            self.sent += 1
            try self.client.sendMessage(
                "\(self.name) says \(self.sent)", as: "\(self.name)-\(self.sent)")
        }

        /// Receives one answer. Returns false at the end of the connection.
        func receiveAnswer() throws -> Bool {
            guard case .text(let frame) = try self.client.socket.next() else { return false }
            let event = try JSONObject(frame)
            guard event["type"] == "chat_message", let message = event.object("message"),
                message["sender_id"] == self.name
            else {
                return true
            }
            self.answered[message["local_id"] ?? ""] = message["id"]
            return true
        }
    }

    @Test(
        "kill -9 in the middle of a burst loses none of them",
        arguments: TestRun.isLong ? 1...10 : 1...3)
    func burst(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let limits = ["--limit", "messages-per-second=1000000", "--limit", "message-burst=1000000"]
        let server = try ConfabServer(limits, store: .sqlite)
        let senders = [try Sender(server, "alice"), try Sender(server, "bob")]
        for sender in senders { try sender.client.synchronize() }

        let answersBeforeTheEnd = Int.random(in: 5...300, using: &random)
        while senders.reduce(0, { $0 + $1.answered.count }) < answersBeforeTheEnd {
            let sender = senders.randomElement(using: &random)!
            // Below the limit of 1,000 remembered client ids per conversation, because all messages
            // are sent again below.
            for _ in 0..<Int.random(in: 1...40, using: &random) where sender.sent < 450 {
                try sender.send()
            }
            for _ in 0..<Int.random(in: 1...10, using: &random)
            where sender.answered.count < sender.sent { _ = try sender.receiveAnswer() }
        }
        try server.crash()
        // Answers that were sent before the crash also count.
        for sender in senders { while try sender.receiveAnswer() {} }

        let revived = try ConfabServer(limits, store: .sqlite, in: server.folder)
        try self.check(revived, senders)
    }

    private func check(_ server: ConfabServer, _ senders: [Sender]) throws {
        let reader = try server.connect("reader", to: "burst")
        let history = try reader.wholeHistory()
        let ids = history.map { $0["id"] }
        #expect(
            ids == history.indices.map { String($0 + 1) }, "the numbers have a hole or a repeat")
        let contents = Dictionary(uniqueKeysWithValues: history.map { ($0["id"]!, $0["content"]!) })
        for sender in senders {
            for (localID, id) in sender.answered {
                let number = localID.dropFirst(sender.name.count + 1)
                #expect(
                    contents[id] == "\(sender.name) says \(number)",
                    "the answered message \(localID) is lost")
            }
        }
        #expect(Set(contents.values).count == contents.count, "a message is there twice")

        // A client without an answer sends again. A stored message keeps its number and is stored
        // only once.
        for sender in senders {
            let client = try server.connect(sender.name, to: "burst")
            for number in (0..<sender.sent).map({ $0 + 1 }) {
                let message = try client.post(
                    "\(sender.name) says \(number)", as: "\(sender.name)-\(number)")
                if let id = sender.answered["\(sender.name)-\(number)"] {
                    #expect(message["id"] == id)
                }
            }
        }
        let everything = try reader.wholeHistory().compactMap { $0["content"] }
        #expect(everything.count == senders.reduce(0) { $0 + $1.sent })
        #expect(Set(everything).count == everything.count)
    }

    @Test("edits, deletions, members and cursors survive kill -9")
    func editsMembersAndCursors() throws {
        let server = try ConfabServer(store: .sqlite)
        let alice = try server.connect("alice")
        try alice.post("first")
        try alice.post("second")
        try alice.send(#"{"action":"edit_message","message_id":"1","content":"edited"}"#)
        _ = try alice.next("message.edited")
        try alice.send(#"{"action":"delete_message","message_id":"2"}"#)
        _ = try alice.next("message.deleted")
        let bob = try server.connect(
            token: ConfabServer.token(for: "bob", conversations: ["lobby"]))
        try bob.post("third")

        try server.crash()
        let revived = try ConfabServer(store: .sqlite, in: server.folder)

        // bob is now a member, regardless of the token.
        let again = try revived.connect(token: ConfabServer.token(for: "bob", conversations: []))
        let history = try again.wholeHistory()
        #expect(history.map { $0["content"] } == ["edited", "", "third"])
        #expect(history.map { $0.bool("is_edited") } == [true, false, false])
        #expect(history.map { $0.bool("is_deleted") } == [false, true, false])
        let outsider = try revived.connect(token: ConfabServer.token(for: "eve", conversations: []))
        #expect(try outsider.closeEvent() == .close(code: 4004, reason: "access denied"))
    }

    @Test("a client that resumes with its last id receives the rest, once and in order", .long)
    func resume() throws {
        let server = try ConfabServer(["--limit", "message-burst=1000"], store: .sqlite)
        let writer = try server.connect("writer")
        let reader = try server.connect("reader")
        try reader.synchronize()
        for number in 1...250 {
            try writer.sendMessage("message \(number)")
            if number == 60 {
                while try reader.next("chat_message").object("message")?["id"] != "60" {}
                reader.socket.dropConnection()
            }
            if number % 50 == 0 {
                while try writer.next("chat_message").object("message")?["id"] != String(number) {}
            }
        }

        let back = try server.connect("reader", query: "after=60")
        for number in 61...250 {
            #expect(try back.next("chat_message").object("message")?["id"] == String(number))
        }
        try writer.post("live")
        #expect(try back.next("chat_message").object("message")?["content"] == "live")
    }
}
