import TerminalKit

/// The rows of the text that is being typed, and the cursor's position in them.
struct InputLayout: Equatable {
    /// The visible rows, without the prompt.
    private(set) var rows: [String]
    /// The cursor's row among the visible ones.
    private(set) var cursorRow: Int
    /// The cursor's column, without the prompt.
    private(set) var cursorColumn: Int
    /// Whether the first visible row is the first of the text.
    private(set) var showsStart: Bool

    /// - Parameters:
    ///   - columns: the columns of each row, at least 4.
    ///   - rowLimit: how many rows are visible; those around the cursor if there are more.
    init(_ characters: [Character], cursor: Int, columns: Int, rowLimit: Int) {
        var rows = [""]
        var width = 0
        var cursorPosition = (row: 0, column: 0)
        for (index, character) in characters.enumerated() {
            let shown = character == "\t" ? "    " : String(character)
            let characterWidth = character == "\n" ? 0 : DisplayWidth.of(shown)
            // The cursor needs a column behind the last character.
            if width + characterWidth >= columns {
                rows.append("")
                width = 0
            }
            if index == cursor { cursorPosition = (rows.count - 1, width) }
            if character == "\n" || character == "\r\n" {
                rows.append("")
                width = 0
            } else {
                rows[rows.count - 1] += shown
                width += characterWidth
            }
        }
        if cursor >= characters.count { cursorPosition = (rows.count - 1, width) }
        let first = min(max(0, cursorPosition.row - rowLimit + 1), max(0, rows.count - rowLimit))
        self.rows = Array(rows[first..<min(rows.count, first + rowLimit)])
        self.cursorRow = cursorPosition.row - first
        self.cursorColumn = cursorPosition.column
        self.showsStart = first == 0
    }
}
