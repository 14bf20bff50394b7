import Dialects
import Foundation
import TestKit
import TestTraits
import Testing

/// `confab chat` in each protocol, through pipes, with a real server.
@Suite("confab chat in every protocol", .programs, .ownThread)
struct ChatDialectTests {
    static let dialects = DialectList.all.names
    /// Each pair, or each protocol with the next one.
    static let pairs = dialects.enumerated().flatMap { place, left in
        TestRun.isLong
            ? dialects[place...].map { (left, $0) }
            : [(left, dialects[(place + 1) % dialects.count])]
    }

    private func chat(
        _ user: String, in dialect: String, _ conversation: String? = "lobby",
        at server: ConfabServer
    ) throws -> ChildProcess {
        let token = try server.folder.write(
            ConfabServer.token(for: user, conversations: ["lobby"]), to: "\(user).jwt")
        let named = conversation.map { ["--conversation", $0] } ?? []
        return try ChildProcess(
            Checkout.confab,
            ["chat", "--dialect", dialect, "ws://127.0.0.1:\(server.port)", "--token-file", token]
                + named,
            folder: server.folder.path)
    }

    /// Sends a line and waits until the message is stored.
    private func writeLine(_ line: String, _ chat: ChildProcess, as user: String) throws {
        try chat.writeLine(line)
        try chat.output.line(with: "\(user): \(line)")
    }

    @Test(
        "exchanges messages between two protocols, also over a crash, without loss or repeat",
        arguments: pairs)
    func conversationOverCrash(_ left: String, _ right: String) throws {
        let port = try freePort()
        let server = try ConfabServer(["--listen", "127.0.0.1:\(port)"], store: .sqlite)
        let ann = try self.chat("ann", in: left, at: server)
        defer { ann.kill() }
        try self.writeLine("one", ann, as: "ann")
        let bob = try self.chat("bob", in: right, at: server)
        defer { bob.kill() }
        try self.writeLine("two", bob, as: "bob")
        try ann.output.line(with: "bob: two")
        try self.writeLine("three", ann, as: "ann")
        try bob.output.line(with: "ann: three")

        // The server that is killed may have received both lines, one or none.
        try ann.writeLine("four")
        try bob.writeLine("five")
        try server.crash()
        try ann.writeLine("six")
        let revived = try ConfabServer(
            ["--listen", "127.0.0.1:\(port)"], store: .sqlite, in: server.folder)
        for chat in [ann, bob] {
            for line in ["ann: four", "bob: five", "ann: six"] {
                try chat.output.line(with: line, within: .seconds(60))
            }
        }
        try self.writeLine("seven", bob, as: "bob")
        try ann.output.line(with: "bob: seven")

        let history = try revived.connect("reader").wholeHistory().map {
            "\($0["sender_id"] ?? ""): \($0["content"] ?? "")"
        }
        #expect(history.count == 7, "\(history)")
        #expect(Set(history).count == 7, "\(history)")
        // Each client has received all messages after its arrival, once and in order.
        ann.closeInput()
        bob.closeInput()
        #expect(try ann.waitForExit() == .exited(0), "\(ann.errors.lines)")
        #expect(try bob.waitForExit() == .exited(0), "\(bob.errors.lines)")
        #expect(ann.output.lines == history)
        #expect(bob.output.lines == Array(history.dropFirst()))
    }

    @Test("lists the members, and ends the membership", arguments: dialects)
    func leaving(_ dialect: String) throws {
        let server = try ConfabServer()
        let ann = try self.chat("ann", in: dialect, at: server)
        defer { ann.kill() }
        try self.writeLine("one", ann, as: "ann")
        let bob = try self.chat("bob", in: dialect, at: server)
        defer { bob.kill() }
        try self.writeLine("two", bob, as: "bob")
        try bob.writeLine("/members")
        let members = try bob.errors.line("the members") { $0.hasPrefix("Members: ") }
        #expect(members.contains("ann") && members.contains("bob"))
        try bob.writeLine("/leave")
        #expect(try bob.waitForExit() == .exited(0), "\(bob.errors.lines)")
        #expect(bob.errors.text.contains("You have left lobby."))
        try ann.writeLine("/members")
        let rest = try ann.errors.line("the members") { $0.hasPrefix("Members: ") }
        #expect(rest.contains("ann") && !rest.contains("bob"))
    }

    @Test(
        "sends the lines of a file, waits for the answers, and exits with 0",
        .long, arguments: dialects)
    func file(_ dialect: String) throws {
        let server = try ConfabServer()
        let lines = (1...150).map { "line \($0)" }
        let chat = try self.chat("ann", in: dialect, at: server)
        defer { chat.kill() }
        for line in lines { try chat.writeLine(line) }
        chat.closeInput()
        #expect(try chat.waitForExit() == .exited(0), "\(chat.errors.lines)")
        #expect(chat.output.lines == lines.map { "ann: \($0)" })
        #expect(try server.connect("bob").wholeHistory().map { $0["content"] } == lines)
    }

    @Test("fetches more than one page of missed messages", .long, arguments: dialects)
    func longAbsence(_ dialect: String) throws {
        let port = try freePort()
        let options = [
            "--listen", "127.0.0.1:\(port)", "--limit", "messages-per-second=10000", "--limit",
            "message-burst=10000",
        ]
        let server = try ConfabServer(options, store: .sqlite)
        let chat = try self.chat("ann", in: dialect, at: server)
        defer { chat.kill() }
        try self.writeLine("before", chat, as: "ann")
        // The reader is suspended and misses the messages. The crash of the server ends its
        // connection.
        try chat.freeze()
        let writer = try server.connect("writer")
        for number in 1...250 { try writer.post("message \(number)") }
        try server.crash()
        chat.send(SIGCONT)
        let revived = try ConfabServer(options, store: .sqlite, in: server.folder)
        try self.writeLine("after", chat, as: "ann")
        #expect(
            chat.output.lines == ["ann: before"] + (1...250).map { "writer: message \($0)" } + [
                "ann: after"
            ])
        withExtendedLifetime(revived) {}
    }

    @Test(
        "misses nothing if it received nothing before the break, and repeats no old messages",
        .long,
        arguments: dialects)
    func resumeWithoutMessages(_ dialect: String) throws {
        let port = try freePort()
        let server = try ConfabServer(["--listen", "127.0.0.1:\(port)"], store: .sqlite)
        let writer = try server.connect("writer")
        try writer.post("old")
        let chat = try self.chat("ann", in: dialect, at: server)
        defer { chat.kill() }
        // Waits until the client has joined.
        if dialect == "agents" {
            try Deadline.wait(
                for: "ann to see the writer",
                untilTrue: {
                    try? chat.writeLine("/who")
                    return chat.errors.text.contains("Online: writer.")
                })
        } else {
            try chat.writeLine("/history 1")
            try chat.output.line(with: "writer: old")
        }
        let before = chat.output.lines
        try chat.freeze()
        try server.crash()
        let revived = try ConfabServer(
            ["--listen", "127.0.0.1:\(port)"], store: .sqlite, in: server.folder)
        try revived.connect("writer").post("news")
        chat.send(SIGCONT)
        try chat.output.line(with: "writer: news", within: .seconds(60))
        try self.writeLine("after", chat, as: "ann")
        #expect(chat.output.lines == before + ["writer: news", "ann: after"])
    }

    @Test(
        "reports a token without access to the conversation, and exits with 1", .long,
        arguments: dialects)
    func refusal(_ dialect: String) throws {
        let server = try ConfabServer()
        try server.connect("owner").post("mine")
        let token = try ConfabServer.token(for: "eve", conversations: ["elsewhere"])
        let url = "ws://127.0.0.1:\(server.port)/conversations/lobby/"
        let result = try run(
            Checkout.confab, ["chat", url, "--dialect", dialect, "--token", token],
            folder: server.folder.path, input: "hello")
        #expect(result.exitStatus == .exited(1), "\(result)")
        let expectedErrors = [
            "conversations": "access denied", "pets": "access denied",
            "chats": "no such chat", "agents": "status 403",
            "rooms": "you may not enter it",
        ]
        #expect(result.errors.contains(expectedErrors[dialect] ?? ""), "\(result.errors)")
        #expect(result.output == "")
    }

    @Test("lets anonymous users create a chat and join it", .long)
    func anonymousUsers() throws {
        let server = try ConfabServer(["--anonymous", "on"])
        let url = "http://127.0.0.1:\(server.port)"
        let ann = try ChildProcess(
            Checkout.confab, ["chat", "--dialect", "chats", url, "--name", "Ann"],
            folder: server.folder.path)
        defer { ann.kill() }
        let createdLine = try ann.errors.line(with: "was created; others join with --conversation ")
        let id = try #require(createdLine.split(separator: " ").last?.dropLast())
        try self.writeLine("Is anybody there?", ann, as: "Ann")
        let bob = try ChildProcess(
            Checkout.confab,
            ["chat", "--dialect", "chats", url, "--name", "Bob", "--conversation", String(id)],
            folder: server.folder.path)
        defer { bob.kill() }
        try ann.errors.line(with: "Bob has joined.")
        try bob.writeLine("/who")
        try bob.errors.line(with: "Members: guest:Ann, guest:Bob.")
        try bob.writeLine("/history")
        try self.guestLine("Ann", "Is anybody there?", bob)
        try self.writeLine("I am.", bob, as: "Bob")
        try self.guestLine("Bob", "I am.", ann)
    }

    /// Waits for a line of another guest, whose key stands behind its name.
    private func guestLine(_ name: String, _ text: String, _ chat: ChildProcess) throws {
        try chat.output.line("\(name): \(text)") {
            $0.contains("\(name) (guest ") && $0.hasSuffix("): \(text)")
        }
    }

    @Test("exchanges direct messages of agents, present or not", .long)
    func direct() throws {
        let server = try ConfabServer()
        let ann = try self.chat("ann", in: "agents", at: server)
        defer { ann.kill() }
        try ann.writeLine("/to bob Are you there?")
        try ann.output.line(with: "ann (to bob): Are you there?")
        let bob = try self.chat("bob", in: "agents", nil, at: server)
        defer { bob.kill() }
        try bob.output.line(with: "ann (to bob): Are you there?")
        try bob.writeLine("/to ann I am.")
        try ann.output.line(with: "bob (to ann): I am.")
        try bob.writeLine("to everybody")
        try bob.errors.line(
            with: "Not sent: to everybody (to: is missing, and the connection has no channel)")
        bob.closeInput()
        #expect(try bob.waitForExit() == .exited(1))
    }
}
