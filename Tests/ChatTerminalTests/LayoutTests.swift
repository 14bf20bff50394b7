import EventLoop
import TerminalKit
import Testing

@testable import ChatTerminal
@testable import ConfabClient

@Suite("Wrapped text")
struct TextWrapTests {
    @Test(
        "breaks between words, within long words, and next to wide characters",
        arguments: [
            ("", 5, 5, [""]), ("hello", 5, 5, ["hello"]), ("hello you", 5, 5, ["hello", "you"]),
            ("one two three", 7, 7, ["one two", "three"]),
            ("one  two", 5, 5, ["one", "two"]), ("a\nb", 5, 5, ["a", "b"]),
            ("a\n\nb", 5, 5, ["a", "", "b"]), ("abcdefgh", 3, 5, ["abc", "defgh"]),
            ("x abcdefgh", 4, 4, ["x ab", "cdef", "gh"]),
            ("first rest", 3, 10, ["fir", "st rest"]),
            ("世界世界", 5, 5, ["世界", "世界"]), ("ab世界", 4, 4, ["ab世", "界"]),
            ("👩‍👩‍👧👩‍👩‍👧👩‍👩‍👧", 4, 4, ["👩‍👩‍👧👩‍👩‍👧", "👩‍👩‍👧"]),
            ("e\u{301}e\u{301}e\u{301}", 2, 2, ["e\u{301}e\u{301}", "e\u{301}"]),
        ] as [(String, Int, Int, [String])])
    func lines(text: String, first: Int, rest: Int, lines: [String]) {
        #expect(TextWrap.lines(text, first: first, rest: rest) == lines)
    }

    @Test("loses no character, and no line is too wide", arguments: 2...20)
    func widths(columns: Int) {
        let text = "The quick 世界 brown fox\njumps över 👩‍👩‍👧 the lazy dog, incomprehensibly."
        let lines = TextWrap.lines(text, first: columns, rest: columns)
        for line in lines { #expect(DisplayWidth.of(line) <= columns, "\(line)") }
        let all = { (text: String) in text.filter { !$0.isWhitespace } }
        #expect(all(lines.joined()) == all(text))
    }
}

@Suite("The rows of the input")
struct InputLayoutTests {
    private func layout(_ text: String, _ cursor: Int? = nil, columns: Int = 6, rows: Int = 3)
        -> InputLayout
    {
        InputLayout(Array(text), cursor: cursor ?? text.count, columns: columns, rowLimit: rows)
    }

    @Test("wrap at the width, and at line breaks")
    func wrapping() {
        #expect(self.layout("abc").rows == ["abc"])
        #expect(self.layout("abcdefgh").rows == ["abcde", "fgh"])
        #expect(self.layout("ab\ncd").rows == ["ab", "cd"])
        #expect(self.layout("ab\n").rows == ["ab", ""])
        #expect(self.layout("世界世").rows == ["世界", "世"])
        #expect(self.layout("").rows == [""])
    }

    @Test("have the cursor at its character")
    func cursor() {
        let end = self.layout("abcdefgh")
        #expect(end.cursorRow == 1 && end.cursorColumn == 3)
        let middle = self.layout("abcdefgh", 2)
        #expect(middle.cursorRow == 0 && middle.cursorColumn == 2)
        let next = self.layout("ab\ncd", 3)
        #expect(next.cursorRow == 1 && next.cursorColumn == 0)
    }

    @Test("show the rows around the cursor of a long text")
    func window() {
        let text = "a\nb\nc\nd\ne"
        #expect(self.layout(text).rows == ["c", "d", "e"])
        #expect(!self.layout(text).showsStart)
        #expect(self.layout(text, 0).rows == ["a", "b", "c"])
        #expect(self.layout(text, 0).showsStart && self.layout(text, 0).cursorRow == 0)
    }
}

@Suite("Pasted text")
struct PasteTests {
    private func editor(_ keys: String) -> (LineEditor, [LineEditor.Event]) {
        var editor = LineEditor()
        var events: [LineEditor.Event] = []
        editor.process(Array(keys.utf8), into: &events)
        return (editor, events)
    }

    @Test(
        "keeps its line breaks, and is sent by Enter as one message",
        arguments: [
            ("one\rtwo\r\nthree\nfour", "one\ntwo\nthree\nfour"), ("line\r", "line"),
            ("a\tb", "a\tb"), ("x\u{3}\u{1B}[Ay", "xy"), ("\r\r", "\n"), ("", ""),
        ])
    func paste(pasted: String, text: String) {
        let (editor, events) = self.editor("\u{1B}[200~\(pasted)\u{1B}[201~")
        #expect(editor.text == text)
        #expect(!events.contains { if case .submitted = $0 { true } else { false } })
        let (_, all) = self.editor("\u{1B}[200~\(pasted)\u{1B}[201~\r")
        #expect(all.last == .submitted(text))
    }

    @Test("does not depend on how the bytes are split")
    func cutting() {
        let keys = Array("a\u{1B}[200~b\r\nc\u{1B}[201~d".utf8)
        for cut in 0...keys.count {
            var editor = LineEditor()
            var events: [LineEditor.Event] = []
            editor.process(keys[..<cut], into: &events)
            editor.process(keys[cut...], into: &events)
            #expect(editor.text == "ab\ncd")
        }
    }

    @Test("is not needed for a line break: Alt-Enter makes one")
    func altEnter() {
        #expect(self.editor("a\u{1B}\rb").0.text == "a\nb")
    }
}

@Suite("Several conversations")
struct SeveralConversationsTests {
    private let now = MonotonicTime(nanoseconds: 0)

    private func chat() -> TerminalChat {
        var chat = TerminalChat(
            .init(dialect: .conversations, isInteractive: true, localIDPrefix: "id"),
            first: TerminalRoom("lobby", [.receipts, .presence]))
        _ = self.receive(.state(StateChange(state: .online)), "lobby", &chat)
        return chat
    }

    private func type(_ line: String, _ chat: inout TerminalChat) -> [TerminalStep] {
        var steps: [TerminalStep] = []
        chat.typed(line, at: self.now, into: &steps)
        chat.finishTurn(into: &steps)
        return steps
    }

    private func receive(
        _ event: ConversationEvent, _ room: String, _ chat: inout TerminalChat
    ) -> [TerminalStep] {
        var steps: [TerminalStep] = []
        chat.received(event, from: room, at: self.now, into: &steps)
        chat.finishTurn(into: &steps)
        return steps
    }

    private func message(_ id: Int) -> ConversationEvent {
        .message(ChatMessage(id: id, author: "bob", text: "m\(id)"))
    }

    @Test("send to the current one, and count the messages of the others")
    func switching() {
        var chat = self.chat()
        #expect(self.type("/join dev", &chat) == [.open("dev"), .redraw])
        _ = self.receive(.state(StateChange(state: .online)), "dev", &chat)
        #expect(
            self.type("hi", &chat) == [.act(.post("hi", localID: "id-1", to: nil), in: "dev")])
        #expect(self.receive(self.message(1), "lobby", &chat) == [])
        #expect(self.receive(self.message(2), "lobby", &chat) == [])
        #expect(chat.status.unread == [.init(conversation: "lobby", count: 2)])
        #expect(self.receive(self.message(1), "dev", &chat).contains(.act(.read(1), in: "dev")))
        #expect(self.type("/switch 1", &chat).first == .redraw)
        #expect(chat.status.conversation == "lobby" && chat.status.unread == [])
        #expect(
            chat.current.lines.suffix(2).map {
                if case .message(let message) = $0 { message.id } else { 0 }
            }
                == [1, 2])
        #expect(self.type("/join dev", &chat).first == .redraw)
        #expect(chat.rooms.count == 2)
    }

    @Test("are listed, and closed")
    func listing() {
        var chat = self.chat()
        _ = self.type("/join dev", &chat)
        _ = self.receive(self.message(1), "lobby", &chat)
        guard case .show(.list(let entries))? = self.type("/list", &chat).first else {
            Issue.record("/list shows no list")
            return
        }
        #expect(
            entries == [
                TermEntry(term: "1 lobby", text: "1 new"),
                TermEntry(term: "2 dev", text: "this one, connecting"),
            ])
        #expect(self.type("/close", &chat).prefix(2) == [.act(.close, in: "dev"), .redraw])
        guard case .show(.error)? = self.type("/close", &chat).first else {
            Issue.record("the last conversation can be closed")
            return
        }
    }

    /// The server may end the connection of a user who leaves before it answers.
    @Test("are left", arguments: [false, true])
    func leaving(isRefusedFirst: Bool) {
        var chat = self.chat()
        _ = self.type("/join dev", &chat)
        for (id, following) in [("dev", TerminalStep.redraw), ("lobby", .exit(0))] {
            #expect(self.type("/leave", &chat) == [.act(.leave, in: id)])
            var steps: [TerminalStep] = []
            if isRefusedFirst {
                let change = StateChange(state: .refused, reason: "You were removed.")
                chat.received(.state(change), from: id, at: self.now, into: &steps)
            }
            chat.answered(.leave, in: id, with: .done, into: &steps)
            #expect(steps.contains(.show(.notice("You have left \(id)."))))
            #expect(steps.contains(following))
        }
    }

    @Test("are not left if the server refuses, or while lines are unsent")
    func refusedLeaving() {
        var chat = self.chat()
        _ = self.type("hello", &chat)
        #expect(self.type("/leave", &chat).count == 1)
        #expect(!chat.current.isLeaving)
        chat.current.unsent = []
        _ = self.type("/leave", &chat)
        var steps: [TerminalStep] = []
        chat.answered(.leave, in: "lobby", with: .failed("no"), into: &steps)
        #expect(steps == [.show(.error("The server says: no"))])
        #expect(!chat.current.isLeaving && chat.rooms.count == 1)
    }

    @Test("list their members", arguments: [false, true])
    func members(hasMore: Bool) {
        var chat = self.chat()
        #expect(self.type("/members", &chat) == [.act(.members, in: "lobby")])
        var steps: [TerminalStep] = []
        chat.answered(
            .members, in: "lobby", with: .members(["Ann (creator)", "Bob"], hasMore: hasMore),
            into: &steps)
        let text = "Members: Ann (creator), Bob\(hasMore ? " and more" : "")."
        #expect(steps == [.show(.notice(text))])
    }

    @Test(
        "need valid ids", arguments: ["/join", "/join a b", "/join ä", "/switch 7", "/switch x"])
    func invalid(line: String) {
        var chat = self.chat()
        guard case .show(.error)? = self.type(line, &chat).first else {
            Issue.record("\(line) is accepted")
            return
        }
    }

    @Test("end with an error only if the first one is refused")
    func refusal() {
        var chat = self.chat()
        _ = self.type("/join secret", &chat)
        let refused = ConversationEvent.state(
            StateChange(state: .refused, reason: "Access denied."))
        #expect(
            self.receive(refused, "secret", &chat) == [
                .act(.close, in: "secret"), .redraw, .show(.error("secret: Access denied.")),
            ])
        #expect(chat.status.conversation == "lobby")
        #expect(self.receive(refused, "lobby", &chat).last == .exit(1))
    }
}
