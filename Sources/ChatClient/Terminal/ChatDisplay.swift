/// Text for standard output and standard error.
struct TerminalOutput: Equatable {
    var out = ""
    var errors = ""

    var isEmpty: Bool { self.out.isEmpty && self.errors.isEmpty }
}

/// Plain lines for pipes, files and screen readers. Messages go to standard output, one per line;
/// everything else goes to standard error.
struct LineDisplay {
    mutating func show(_ line: ChatLine, into output: inout TerminalOutput) {
        switch line {
        case .message(let message, _):
            output.out +=
                "\(SafeText.line(message.displayName)): \(SafeText.line(message.content))\n"
        case .direct(let message, let to, _):
            output.out +=
                """
                \(SafeText.line(message.displayName)) (to \(SafeText.line(to))): \
                \(SafeText.line(message.content))\n
                """
        case .edited(let message):
            output.errors +=
                """
                #\(message.id) by \(SafeText.line(message.displayName)) was edited: \
                \(SafeText.line(message.content))\n
                """
        case .deleted(let message):
            output.errors +=
                "#\(message.id) by \(SafeText.line(message.displayName)) was deleted.\n"
        case .status(let id, let progress):
            output.errors += "#\(id) is \(progress.label).\n"
        case .notice(let message):
            output.errors += "\(message)\n"
        case .error(let message):
            output.errors += "confab: \(message)\n"
        }
    }
}

/// A scrolling screen with an input line at the bottom. A status line above it appears when there
/// is something to report.
struct ScreenDisplay {
    /// Whether to use colours.
    let hasColour: Bool
    let clock: ClockText
    private var drawnLines = 0
    private var drawn: DrawnPrompt?

    private struct DrawnPrompt: Equatable {
        let status: ChatStatus
        let characters: [Character]
        let cursor: Int
        let columns: Int
    }

    init(hasColour: Bool, clock: ClockText) {
        self.hasColour = hasColour
        self.clock = clock
    }

    /// Prints `lines` above the input line. Redraws the input line if anything in it has changed.
    mutating func update(
        _ lines: [ChatLine], _ status: ChatStatus, _ editor: LineEditor, columns: Int,
        force: Bool = false,
        into output: inout TerminalOutput
    ) {
        let drawn = DrawnPrompt(
            status: status, characters: editor.characters, cursor: editor.cursor,
            columns: columns)
        guard force || !lines.isEmpty || drawn != self.drawn else { return }
        self.erase(into: &output)
        for line in lines {
            // The prompt displays the status.
            if case .status = line { continue }
            output.out += self.text(of: line) + "\n"
        }
        self.draw(drawn, into: &output)
    }

    /// Erases the input line and the status line.
    mutating func erase(into output: inout TerminalOutput) {
        guard self.drawnLines > 0 else { return }
        output.out += "\r"
        if self.drawnLines > 1 { output.out += "\u{1B}[\(self.drawnLines - 1)A" }
        output.out += "\u{1B}[J"
        self.drawnLines = 0
        self.drawn = nil
    }

    private mutating func draw(_ drawn: DrawnPrompt, into output: inout TerminalOutput) {
        let columns = max(drawn.columns - 1, 10)
        if let text = Self.statusText(of: drawn.status) {
            output.out += self.styled(.dim, Self.cut(text, to: columns)) + "\n"
            self.drawnLines = 1
        }
        let prompt = Self.prompt(of: drawn.status)
        let promptWidth = DisplayWidth.of(prompt)
        // The visible part begins at the first character that keeps the cursor in view.
        var start = 0
        var width = drawn.characters[..<drawn.cursor].reduce(0) { $0 + DisplayWidth.of($1) }
        while width > columns - promptWidth - 1, start < drawn.cursor {
            width -= DisplayWidth.of(drawn.characters[start])
            start += 1
        }
        let visible = Self.cut(String(drawn.characters[start...]), to: columns - promptWidth)
        output.out += self.styled(.bold, prompt) + visible + "\r"
        let column = promptWidth + width
        if column > 0 { output.out += "\u{1B}[\(column)C" }
        self.drawnLines += 1
        self.drawn = drawn
    }

    private static func cut(_ text: String, to columns: Int) -> String {
        var cut = ""
        var width = 0
        for character in text {
            width += DisplayWidth.of(character)
            if width > columns { break }
            cut.append(character)
        }
        return cut
    }

    private static func statusText(of status: ChatStatus) -> String? {
        var parts: [String] = []
        if let connection = status.connection { parts.append("\(connection)…") }
        switch status.typing.count {
        case 0: break
        case 1: parts.append("\(status.typing[0]) is typing…")
        case 2, 3: parts.append("\(status.typing.joined(separator: ", ")) are typing…")
        default: parts.append("\(status.typing.count) people are typing…")
        }
        return parts.isEmpty ? nil : parts.joined(separator: "  ")
    }

    /// The ticks belong to the user's newest message.
    private static func prompt(of status: ChatStatus) -> String {
        switch status.progress {
        case nil: "> "
        case .sending: "… > "
        case .stored: "✓ > "
        case .delivered: "✓✓ > "
        case .read: "✓✓ read > "
        }
    }

    private func text(of line: ChatLine) -> String {
        switch line {
        case .message(let message, let isMine):
            let mark = message.isEdited ? self.styled(.dim, " (edited)") : ""
            let name = self.styled(
                isMine ? .mine : .name(message.displayName), SafeText.line(message.displayName))
            return
                """
                \(self.messagePrefix(of: message)) \(name): \
                \(SafeText.block(message.content, indentation: "    "))\(mark)
                """
        case .direct(let message, let to, let isMine):
            let name = self.styled(
                isMine ? .mine : .name(message.displayName), SafeText.line(message.displayName))
            let time = message.sentAt.map { self.styled(.dim, self.clock.text(of: $0)) + " " } ?? ""
            return
                """
                \(time)\(name) (to \(SafeText.line(to))): \
                \(SafeText.block(message.content, indentation: "    "))
                """
        case .edited(let message):
            let text =
                """
                \(SafeText.line(message.displayName)) edited #\(message.id): \
                \(SafeText.block(message.content, indentation: "    "))
                """
            return self.styled(.dim, text)
        case .deleted(let message):
            return self.styled(
                .dim, "#\(message.id) by \(SafeText.line(message.displayName)) was deleted.")
        case .status(let id, let progress):
            return "#\(id) is \(progress.label)."
        case .notice(let message):
            return self.styled(.dim, message)
        case .error(let message):
            return self.styled(.error, message)
        }
    }

    private func messagePrefix(of message: ChatMessage) -> String {
        let time = message.sentAt.map { self.clock.text(of: $0) + " " } ?? ""
        return self.styled(.dim, "\(time)#\(message.id)")
    }

    private enum Style {
        case dim, bold, mine, error
        case name(String)

        /// SGR parameters (ECMA-48 section 8.3.117).
        var code: String {
            switch self {
            case .dim: return "2"
            case .bold: return "1"
            case .mine: return "1;32"
            case .error: return "31"
            case .name(let name):
                // A name always has the same colour. Red and green are excluded because they have a
                // meaning.
                let colours = ["33", "34", "35", "36", "93", "94", "95", "96"]
                let sum = name.utf8.reduce(5381) { ($0 &* 33) ^ Int($1) }
                return "1;" + colours[Int(sum.magnitude % UInt(colours.count))]
            }
        }
    }

    private func styled(_ style: Style, _ text: String) -> String {
        self.hasColour ? "\u{1B}[\(style.code)m\(text)\u{1B}[0m" : text
    }
}
