import ConfabClient
import TerminalKit

/// A scrolling screen with a status line and the input below it.
///
/// Lines leave the screen at the top, as in a shell, so that the terminal's own scrolling shows
/// earlier ones. A screen with fixed regions would lose them.
struct ScreenDisplay {
    /// Whether to use colours and reverse video.
    let hasColour: Bool
    private var layout: MessageLayout
    /// The rows above the cursor's row that belong to the status line and the input.
    private var rowsAbove: Int?
    private var drawn: DrawnPrompt?

    private struct DrawnPrompt: Equatable {
        let status: ChatStatus
        let characters: [Character]
        let cursor: Int
        let size: TerminalSize
    }

    init(hasColour: Bool, clock: ClockText) {
        self.hasColour = hasColour
        self.layout = MessageLayout(hasColour: hasColour, clock: clock)
    }

    /// Prints `lines` above the status line. Redraws the status line and the input if anything in
    /// them has changed.
    mutating func update(
        _ lines: [ChatLine], _ status: ChatStatus, _ editor: LineEditor, size: TerminalSize,
        into output: inout TerminalOutput
    ) {
        let drawn = DrawnPrompt(
            status: status, characters: editor.characters, cursor: editor.cursor, size: size)
        guard !lines.isEmpty || drawn != self.drawn else { return }
        self.erase(into: &output)
        for line in lines {
            // The prompt displays the status.
            if case .status = line { continue }
            output.out += self.layout.text(of: line, columns: size.columns) + "\n"
        }
        self.draw(drawn, into: &output)
    }

    /// Clears the screen, and prints the newest of `lines` that fit on it.
    mutating func redraw(
        _ lines: [ChatLine], _ status: ChatStatus, _ editor: LineEditor, size: TerminalSize,
        into output: inout TerminalOutput
    ) {
        output.out += "\u{1B}[H\u{1B}[2J"
        self.rowsAbove = nil
        let rowLimit = max(1, size.rows - 2)
        var rows: [Substring] = []
        var first = lines.endIndex
        // The day lines depend on the lines before them, so all are laid out again from the first.
        while first > lines.startIndex, rows.count < rowLimit {
            first -= 1
            self.layout.restart()
            rows = []
            for line in lines[first...] {
                if case .status = line { continue }
                rows += self.layout.text(of: line, columns: size.columns).split(
                    separator: "\n", omittingEmptySubsequences: false)
            }
        }
        for row in rows.suffix(rowLimit) { output.out += row + "\n" }
        self.draw(
            DrawnPrompt(
                status: status, characters: editor.characters, cursor: editor.cursor, size: size),
            into: &output)
    }

    /// Erases the input and the status line.
    mutating func erase(into output: inout TerminalOutput) {
        guard let rowsAbove = self.rowsAbove else { return }
        output.out += "\r"
        if rowsAbove > 0 { output.out += "\u{1B}[\(rowsAbove)A" }
        output.out += "\u{1B}[J"
        self.rowsAbove = nil
        self.drawn = nil
    }

    private mutating func draw(_ drawn: DrawnPrompt, into output: inout TerminalOutput) {
        // The last column stays empty, because terminals differ in what they do after it.
        let columns = max(drawn.size.columns - 1, 10)
        let lineCount = drawn.characters.count { $0 == "\n" } + 1
        let bar = StatusBar.text(of: drawn.status, lineCount: lineCount, columns: columns)
        output.out += (self.hasColour ? TerminalStyle.bar.applied(to: bar) : bar) + "\n"
        let prompt = StatusBar.prompt(of: drawn.status.progress, columns: columns)
        let width = DisplayWidth.of(prompt)
        let input = InputLayout(
            drawn.characters, cursor: drawn.cursor, columns: columns - width,
            rowLimit: max(1, min(6, drawn.size.rows / 3)))
        for (index, row) in input.rows.enumerated() {
            let isFirst = index == 0 && input.showsStart
            let lead = isFirst ? prompt : String(repeating: " ", count: width)
            output.out += index > 0 ? "\n" : ""
            output.out += (self.hasColour && isFirst ? TerminalStyle.bold.applied(to: lead) : lead)
            output.out += SafeText.line(row)
        }
        let below = input.rows.count - 1 - input.cursorRow
        output.out += "\r" + (below > 0 ? "\u{1B}[\(below)A" : "")
        let column = width + input.cursorColumn
        if column > 0 { output.out += "\u{1B}[\(column)C" }
        self.rowsAbove = 1 + input.cursorRow
        self.drawn = drawn
    }
}
