import Bytes
import TerminalKit
import Testing

@testable import ChatTerminal
@testable import ConfabClient

@Suite("A typed line")
struct LineEditorTests {
    private func typed(_ text: String, _ editor: inout LineEditor) -> [LineEditor.Event] {
        var events: [LineEditor.Event] = []
        editor.process(Array(text.utf8), into: &events)
        return events
    }

    private func result(_ text: String) -> String {
        var editor = LineEditor()
        return self.typed(text + "\r", &editor).compactMap {
            if case .submitted(let line) = $0 { line } else { nil }
        }.joined(
            separator: "|")
    }

    @Test(
        "can be edited",
        arguments: [
            ("hello", "hello"), ("helo\u{1B}[Dl", "hello"), ("ab\u{7F}c", "ac"), ("ab\u{8}c", "ac"),
            ("bc\u{1}a", "abc"),
            ("ac\u{1B}[D\u{1B}[D\u{1B}[Cb", "abc"), ("ab\u{1}\u{4}x", "xb"),
            ("one two\u{17}three", "one three"), ("x\u{15}y", "y"),
            ("abc\u{1B}[H\u{B}z", "z"), ("ab\u{1B}[1~x\u{1B}[4~y", "xaby"),
            ("ab\u{1B}OHx\u{1B}OFy", "xaby"),
            ("abc\u{2}\u{2}\u{6}\u{1B}[3~", "ab"),
            ("a\tb", "a b"), ("\u{1B}[200~pasted\u{1B}[201~", "pasted"), ("\u{1B}x\u{7}y", "y"),
            ("\u{7F}\u{4}", ""),
            ("Grüße 👋🏽 世界\u{7F}", "Grüße 👋🏽 世"), ("e\u{301}x\u{7F}\u{7F}o", "o"),
        ])
    func editing(keys: String, line: String) {
        #expect(self.result(keys) == line)
    }

    @Test("does not depend on how the bytes are split")
    func cutting() {
        let keys = Array("é👩‍👩‍👧x\u{1B}[D\u{1B}[3~\u{1B}[1~世a\r".utf8)
        for cut in 0...keys.count {
            var editor = LineEditor()
            var events: [LineEditor.Event] = []
            editor.process(keys[..<cut], into: &events)
            editor.process(keys[cut...], into: &events)
            #expect(events.last == .submitted("世aé👩‍👩‍👧"))
        }
    }

    @Test("ignores bytes that are not text")
    func malformed() {
        var editor = LineEditor()
        var events: [LineEditor.Event] = []
        editor.process([0xFF, 0x80, 0xC3, 0x28, 0xED, 0xA0, 0x80, 0x61], into: &events)
        #expect(editor.text == "(a")
    }

    @Test("can be recalled from the history")
    func history() {
        var editor = LineEditor()
        _ = self.typed("one\rtwo\rtwo\rdraft", &editor)
        #expect(self.typed("\u{1B}[A", &editor) == [.changed])
        #expect(editor.text == "two")
        _ = self.typed("\u{1B}[A", &editor)
        #expect(editor.text == "one")
        #expect(self.typed("\u{1B}[A", &editor) == [])
        _ = self.typed("\u{1B}[B\u{1B}[B", &editor)
        #expect(editor.text == "draft")
        #expect(self.typed("\u{1B}[B", &editor) == [])
    }

    @Test("ends the input only when it is empty")
    func end() {
        var editor = LineEditor()
        #expect(self.typed("\u{4}", &editor) == [.ended])
        #expect(self.typed("a\u{4}", &editor) == [.changed])
        #expect(self.typed("\u{C}", &editor) == [.redraw])
    }

    @Test("has a maximum length")
    func limit() {
        var editor = LineEditor()
        _ = self.typed(String(repeating: "é", count: 40_000), &editor)
        #expect(editor.text.utf8.count == 64 << 10)
    }
}

@Suite("Column widths")
struct DisplayWidthTests {
    @Test(
        "match those of terminals",
        arguments: [
            ("", 0), ("hello", 5), ("é", 1), ("e\u{301}", 1), ("世界", 4), ("한국", 4), ("👋", 2),
            ("👩‍👩‍👧", 2), ("✓", 1), ("❤️", 2), ("ｆ", 2),
            ("\u{200B}", 0),
        ])
    func widths(text: String, width: Int) {
        #expect(DisplayWidth.of(text) == width)
    }
}

@Suite("Lines from a pipe")
struct LineSplitterTests {
    @Test("do not depend on how the bytes are split")
    func cutting() {
        let text = Array("one\r\n\ntwo\rtwo\nthré\u{0}e".utf8)
        for cut in 0...text.count {
            var splitter = LineSplitter()
            var lines = splitter.append(text[..<cut])
            lines += splitter.append(text[cut...])
            #expect(lines == ["one", "", "two\rtwo"])
            #expect(splitter.finish() == "thré\u{0}e")
            #expect(splitter.finish() == nil)
        }
    }

    @Test("have a maximum length")
    func limit() {
        var splitter = LineSplitter()
        let lines = splitter.append(Array(repeating: UInt8(ascii: "a"), count: (1 << 20) + 5)[...])
        #expect(lines.map(\.utf8.count) == [1 << 20])
    }
}

@Suite("A display")
struct ChatDisplayTests {
    private func message(_ content: String, sender: String = "bob", id: Int = 7) -> ChatMessage {
        ChatMessage(id: id, author: sender, text: content, time: Timestamp(milliseconds: 0))
    }

    @Test(
        """
        of lines prints each message on one line of standard output, and everything else on \
        standard error
        """
    )
    func lines() {
        var output = TerminalOutput()
        let display = LineDisplay()
        let edited = self.message("changed")
        for line in [
            ChatLine.message(self.message("hi\n\u{1B}[2Jx", sender: "b\nob")),
            .edited(edited), .deleted(edited),
            .status(id: 7, .read), .notice("carol is online."), .error("Not sent."),
        ] {
            display.show(line, into: &output)
        }
        #expect(output.out == #"b\nob: hi\n\u{1b}[2Jx"# + "\n")
        #expect(
            output.errors == """
                #7 by bob was edited: changed
                #7 by bob was deleted.
                #7 is read.
                carol is online.
                confab: Not sent.

                """)
    }

    private func screen(
        _ lines: [ChatLine], _ status: ChatStatus = ChatStatus(), typed: String = "",
        columns: Int = 40
    ) -> String {
        var editor = LineEditor()
        var events: [LineEditor.Event] = []
        editor.process(Array(typed.utf8), into: &events)
        var screen = ScreenDisplay(hasColour: false, clock: ClockText())
        var output = TerminalOutput()
        screen.update(
            lines, status, editor, size: TerminalSize(columns: columns, rows: 24), into: &output)
        #expect(output.errors == "")
        return output.out
    }

    @Test("of a screen has messages above the status line and the input, with the cursor in it")
    func screen() {
        let out = self.screen([.message(self.message("hi\nthere"))], typed: "abc\u{1B}[D")
        #expect(out.contains("#7 bob: hi\n      there\n /help "))
        #expect(out.hasSuffix("\n> abc\r\u{1B}[4C"))
    }

    @Test("of a screen has the status above the input line, and the ticks before it")
    func statusLine() {
        var status = ChatStatus(
            connection: "reconnecting", typing: ["Ann", "Ben"],
            progress: .delivered, conversation: "lobby")
        status.unread = [.init(conversation: "dev", count: 3)]
        status.account = "alice@host"
        let wide = self.screen([], status, columns: 100)
        #expect(
            wide.hasPrefix(
                " lobby · reconnecting… · Ann and Ben are typing · dev: 3 new"
                    + " · alice@host "))
        #expect(wide.hasSuffix("\n✓✓ > \r\u{1B}[5C"))
        // The most important parts come first, and those that do not fit are left out.
        #expect(
            self.screen([], status).hasPrefix(" lobby · reconnecting… · dev: 3 new"))
        status = ChatStatus(typing: ["Ann"], progress: .read, conversation: "lobby")
        #expect(self.screen([], status).hasPrefix(" lobby · Ann is typing · /help "))
        #expect(self.screen([], status).hasSuffix("\n✓✓ read > \r\u{1B}[10C"))
        status = ChatStatus(typing: ["a", "b", "c", "d"], progress: .sending)
        #expect(self.screen([], status).hasPrefix(" 4 people are typing · /help "))
        #expect(
            self.screen([], ChatStatus(), typed: "\u{1B}[200~a\rb\r\u{1B}[201~").hasPrefix(
                " 2 lines, Enter sends · /help "))
    }

    @Test("of a screen never has a row wider than the screen", arguments: [12, 20, 40])
    func longLines(columns: Int) {
        for length in 0..<60 {
            for text in [
                String(repeating: "x", count: length), String(repeating: "世", count: length),
                String(repeating: "ab ", count: length),
            ] {
                let out = self.screen(
                    [.message(self.message(text, sender: "a-rather-long-name")), .notice(text)],
                    ChatStatus(progress: .sent, conversation: text), typed: text, columns: columns)
                let rows = out.prefix { $0 != "\r" }.split(separator: "\n")
                for row in rows { #expect(DisplayWidth.of(row) <= columns, "\(row)") }
            }
        }
    }

    @Test("of a screen draws only changes, and erases its last rows at the end")
    func redrawing() {
        var screen = ScreenDisplay(hasColour: false, clock: ClockText())
        var output = TerminalOutput()
        let editor = LineEditor()
        let size = TerminalSize(columns: 20, rows: 24)
        screen.update([], ChatStatus(connection: "connecting"), editor, size: size, into: &output)
        output = TerminalOutput()
        screen.update([], ChatStatus(connection: "connecting"), editor, size: size, into: &output)
        #expect(output.isEmpty)
        screen.update([.status(id: 1, .read)], ChatStatus(), editor, size: size, into: &output)
        #expect(output.out == "\r\u{1B}[1A\u{1B}[J /help             \n> \r\u{1B}[2C")
        output = TerminalOutput()
        screen.erase(into: &output)
        #expect(output.out == "\r\u{1B}[1A\u{1B}[J")
        screen.erase(into: &output)
        #expect(output.out == "\r\u{1B}[1A\u{1B}[J")
    }

    @Test("of a screen prints the newest lines that fit after a change of the size")
    func resizing() {
        var screen = ScreenDisplay(hasColour: false, clock: ClockText())
        var output = TerminalOutput()
        let lines = (1...30).map { ChatLine.message(self.message("m\($0)", id: $0)) }
        screen.redraw(
            lines, ChatStatus(), LineEditor(), size: TerminalSize(columns: 40, rows: 10),
            into: &output)
        let rows = output.out.split(separator: "\n")
        #expect(rows.count == 10)
        #expect(rows[0].contains("──"))
        #expect(rows[1].contains("m24"))
        #expect(rows[7].contains("m30"))
    }

    @Test("of a screen shows the date when the day changes")
    func days() {
        var late = self.message("late", id: 8)
        late.time = Timestamp(milliseconds: 86_400_000 * 3)
        let out = self.screen([
            .message(self.message("one")), .message(self.message("two")), .message(late),
        ])
        let dates = out.split(separator: "\n").filter { $0.hasPrefix("── ") }
        #expect(dates.count == 2)
        #expect(dates.allSatisfy { $0.contains("1970-01-0") || $0.contains("1969-12-31") })
    }

    @Test("of a screen lets no text move the cursor")
    func hostileText() {
        let hostile = "\u{1B}]0;title\u{7}\u{9B}2J\r\u{8}"
        let lines: [ChatLine] = [
            .message(self.message(hostile, sender: hostile)),
            .edited(self.message(hostile, sender: hostile)),
            .deleted(self.message("", sender: hostile)),
        ]
        let out = self.screen(lines)
        let controls = out.prefix { $0 != ">" }.unicodeScalars.filter {
            $0 != "\n" && ($0.value < 0x20 || (0x7F...0x9F).contains($0.value))
        }
        #expect(controls.isEmpty)
    }
}

@Suite("Times")
struct ClockTextTests {
    @Test(
        "are parsed as Confab's servers write them",
        arguments: [
            ("2026-01-31T12:00:00.123Z", 1_769_860_800_123), ("1970-01-01T00:00:00Z", 0),
            ("2026-01-31T12:00:00.5Z", 1_769_860_800_500),
            ("2026-01-31T12:00:00.1239Z", 1_769_860_800_123),
        ] as [(String, Int64)])
    func parsing(text: String, milliseconds: Int64) {
        #expect(Timestamp(rfc3339: text) == Timestamp(milliseconds: milliseconds))
    }

    @Test(
        "are rejected when malformed",
        arguments: [
            "", "Z", "2026-13-31T12:00:00Z", "2026-01-31T12:00:00+01:00", "2026-01-31T25:00:00Z",
        ])
    func malformed(text: String) {
        #expect(Timestamp(rfc3339: text) == nil)
    }

    @Test("are shown as hours and minutes, and days with their weekday and date")
    func text() {
        let noon = Timestamp(milliseconds: 1_769_860_800_000)
        #expect(ClockText().time(of: noon).count == 5)
        #expect(
            ["Saturday 2026-01-31", "Sunday 2026-02-01", "Saturday 2026-01-30"].contains(
                ClockText().day(of: noon)))
    }
}

@Suite("A token")
struct UnverifiedTokenClaimsTests {
    @Test("identifies its user")
    func claims() {
        func token(_ payload: String) -> String {
            "e30.\(Base64URL.encode(Array(payload.utf8))).c2ln"
        }
        #expect(UnverifiedTokenClaims(token: token(#"{"sub":"alice"}"#))?.user == "alice")
        #expect(UnverifiedTokenClaims(token: token(#"{"sub":"alice"}"#))?.displayedUser == "alice")
        let guest = UnverifiedTokenClaims(token: token(#"{"sub":"alice","guest":"member"}"#))
        #expect(
            guest?.user == "alice" && guest?.displayedUser == "guest:alice"
                && guest?.agent == "guest:alice")
        #expect(UnverifiedTokenClaims(token: token(#"{"name":"alice"}"#)) == nil)
        #expect(UnverifiedTokenClaims(token: token("nonsense")) == nil)
        #expect(UnverifiedTokenClaims(token: "a.b") == nil)
        #expect(UnverifiedTokenClaims(token: "a.!.c") == nil)
    }
}
