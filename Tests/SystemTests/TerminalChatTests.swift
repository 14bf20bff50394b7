import TestKit
import TestTraits
import Testing

/// `confab chat` in a terminal, with a real server.
@Suite("confab chat in a terminal", .programs, .ownThread)
struct TerminalChatTests {
    private func chat(
        _ user: String, at server: ConfabServer, columns: Int = 80, rows: Int = 24
    ) throws -> PseudoTerminal {
        let token = try server.folder.write(
            ConfabServer.token(for: user, conversations: ["lobby", "dev"]), to: "\(user).jwt")
        return try PseudoTerminal(
            [
                Checkout.confab, "chat", "http://127.0.0.1:\(server.port)/conversations/lobby/",
                "--token-file", token,
            ], columns: columns, rows: rows,
            environment: ["TERM": "xterm-256color", "LANG": "C.UTF-8", "TZ": "UTC"])
    }

    /// The status line is the last row but those of the input.
    private func expectLayout(_ rows: [String], _ place: SourceLocation = #_sourceLocation) {
        let bar = rows.lastIndex { $0.contains("lobby") && $0.contains("/help") }
        #expect(bar != nil, "\(rows.joined(separator: "\n"))", sourceLocation: place)
    }

    @Test(
        "shows header, date, messages, ticks and the status line",
        arguments: TestRun.isLong ? [(80, 24), (40, 10)] : [(80, 24)])
    func screen(columns: Int, rowCount: Int) throws {
        let server = try ConfabServer()
        let ann = try self.chat("ann", at: server, columns: columns, rows: rowCount)
        defer { ann.close() }
        try ann.awaitRow(with: "Confab: lobby, ann@127.0.0.1")
        ann.type("Hello, a line that is longer than forty columns wraps below its number.\r")
        let rows = try ann.awaitScreen("the first tick") { $0.contains { $0.hasPrefix("✓ >") } }
        #expect(rows.contains { $0.hasPrefix("── ") && $0.hasSuffix(" ──") })
        #expect(rows.contains { $0.contains("#1 ann: Hello, a line") })
        if columns == 40 {
            #expect(rows.contains { $0.hasPrefix("      ") }, "\(rows.joined(separator: "\n"))")
        }
        self.expectLayout(rows)

        let bob = try server.connect("bob")
        try ann.awaitRow(with: "bob is online.")
        try bob.post("Hi")
        try ann.awaitRow(with: "bob: Hi")
        ann.type("still typ")
        let typed = try ann.awaitRow(with: "> still typ")
        let prompt = try #require(typed.lastIndex { $0.contains("still typ") })
        #expect(ann.cursor.row == prompt)
        #expect(ann.cursor.column == typed[prompt].count)
        ann.type("\u{15}/quit\r")
        #expect(try ann.waitForExit() == 0)
        #expect(ann.unknownSequences == [])
        // The last rows belong to the shell again.
        #expect(!ann.rows.contains { $0.contains("/help ") && $0.contains("lobby ·") })
    }

    @Test("draws a clean screen after each change of the size")
    func resizing() throws {
        let server = try ConfabServer()
        let ann = try self.chat("ann", at: server)
        defer { ann.close() }
        try ann.awaitRow(with: "Confab: lobby")
        for number in 1...20 { ann.type("message number \(number) of twenty, with some words\r") }
        try ann.awaitRow(with: "#20 ann: message number 20")
        ann.type("draft")
        for (columns, rowCount) in [(40, 10), (100, 30), (20, 6), (80, 24)] {
            ann.resize(columns: columns, rows: rowCount)
            // The terminal shows the old frame, cut to the size, until the next one is drawn.
            try ann.awaitScreen("a clean screen of \(columns) columns") { rows in
                guard let bar = rows.firstIndex(where: { $0.hasPrefix(" lobby") }),
                    bar + 1 < rows.count
                else { return false }
                return rows.count { $0.hasPrefix(" lobby") } == 1
                    && rows.count { $0.contains("draft") } == 1
                    && rows.count { $0.contains("#20 ann") } == 1
                    && rows[bar + 1].contains("> draft")
                    && rows[(bar + 2)...].allSatisfy(\.isEmpty) && ann.cursor.row == bar + 1
            }
        }
    }

    @Test("sends a pasted text with line breaks as one message", .long)
    func paste() throws {
        let server = try ConfabServer()
        let ann = try self.chat("ann", at: server)
        defer { ann.close() }
        try ann.awaitRow(with: "Confab: lobby")
        ann.type("\u{1B}[200~first line\rsecond line\r\u{1B}[201~")
        try ann.awaitScreen("the text and its hint") { rows in
            rows.contains { $0.contains("2 lines, Enter sends") }
                && rows.contains { $0.hasSuffix("> first line") }
        }
        ann.type("\r")
        try ann.awaitRow(with: "#1 ann: first line")
        try ann.awaitRow(with: "      second line")
        let history = try server.connect("bob").wholeHistory()
        #expect(history.map { $0["content"] } == ["first line\nsecond line"])
    }

    @Test("has several conversations, with their new messages in the status line", .long)
    func severalConversations() throws {
        let server = try ConfabServer()
        let ann = try self.chat("ann", at: server)
        defer { ann.close() }
        try ann.awaitScreen("lobby online") { $0.contains { $0.hasPrefix(" lobby · ann@") } }
        ann.type("/join dev\r")
        try ann.awaitScreen("dev") { $0.contains { $0.hasPrefix(" dev ·") } }
        ann.type("to dev\r")
        try ann.awaitRow(with: "#1 ann: to dev")
        let bob = try server.connect("bob")
        try bob.post("one")
        try bob.post("two")
        try ann.awaitRow(with: "lobby: 2 new")
        #expect(!ann.rows.contains { $0.contains("bob: two") })
        ann.type("/list\r")
        try ann.awaitRow(with: "1 lobby")
        ann.type("/switch lobby\r")
        let rows = try ann.awaitRow(with: "bob: two")
        #expect(!rows.contains { $0.contains("to dev") })
        #expect(!rows.contains { $0.contains("2 new") })
    }
}
