/// The screen of a terminal, as far as `confab chat` and `confab top` use it (ECMA-48).
public struct TerminalScreen: Sendable {
    private var cells: [[Character]]
    private var columns: Int
    private var row = 0
    private var column = 0
    /// Whether the last column was written, so that the next character begins a row.
    private var isWrapPending = false
    private var pending: [UInt8] = []
    public private(set) var unknownSequences: [String] = []
    /// Whether the second screen is shown, whose contents are discarded when it is left.
    public private(set) var isAlternate = false
    public private(set) var isCursorVisible = true
    /// Whether a character behind the last column begins a row; otherwise it is dropped.
    public private(set) var wraps = true
    /// The first screen while the second one is shown.
    private var otherCells: [[Character]] = []
    private var savedCursor = (row: 0, column: 0)

    /// Stands for the right half of a wide character.
    private static let filler: Character = "\u{0}"

    public init(columns: Int, rows: Int) {
        self.columns = columns
        self.cells = Array(repeating: Array(repeating: " ", count: columns), count: rows)
    }

    public var rows: [String] {
        self.cells.map { cells in
            var text = String(cells.filter { $0 != Self.filler })
            while text.last == " " { text.removeLast() }
            return text
        }
    }

    public var cursor: (row: Int, column: Int) { (self.row, self.column) }

    /// Cuts or extends the rows, as terminals without reflow do.
    public mutating func resize(columns: Int, rows: Int) {
        self.columns = columns
        if self.row >= rows {
            self.cells.removeFirst(self.row - rows + 1)
            self.row = rows - 1
        }
        self.cells = self.resized(self.cells, rows: rows)
        if self.isAlternate { self.otherCells = self.resized(self.otherCells, rows: rows) }
        self.savedCursor = (
            min(self.savedCursor.row, rows - 1), min(self.savedCursor.column, columns - 1)
        )
        self.column = min(self.column, columns - 1)
        self.isWrapPending = false
    }

    private func resized(_ cells: [[Character]], rows: Int) -> [[Character]] {
        let kept = cells.prefix(rows).map { row in
            Array(row.prefix(self.columns))
                + Array(repeating: " ", count: max(0, self.columns - row.count))
        }
        return kept + Array(repeating: self.blankRow, count: rows - kept.count)
    }

    private var blankRow: [Character] { Array(repeating: " ", count: self.columns) }

    public mutating func write(_ bytes: ArraySlice<UInt8>) {
        self.pending += bytes
        // An incomplete character or sequence waits for the rest.
        var end = self.pending.count
        if let escape = self.pending.lastIndex(of: 0x1B),
            !self.pending[(escape + 1)...].dropFirst().contains(where: {
                (0x40...0x7E).contains($0)
            })
        {
            end = escape
        }
        while end > 0, String(validating: self.pending[..<end], as: UTF8.self) == nil { end -= 1 }
        let text = String(decoding: self.pending[..<end], as: UTF8.self)
        self.pending.removeFirst(end)
        var rest = text[...]
        while let character = rest.popFirst() {
            switch character {
            case "\u{1B}": self.sequence(&rest)
            case "\r": self.column = 0; self.isWrapPending = false
            case "\n": self.lineFeed()
            case "\r\n":
                self.column = 0
                self.lineFeed()
            default: self.put(character)
            }
        }
    }

    private mutating func sequence(_ rest: inout Substring) {
        guard rest.popFirst() == "[" else { return }
        var parameters = ""
        while let character = rest.popFirst() {
            guard character.isLetter else {
                parameters.append(character)
                continue
            }
            return self.control(character, parameters)
        }
    }

    private mutating func control(_ final: Character, _ parameters: String) {
        let number = Int(parameters) ?? 1
        self.isWrapPending = false
        switch (final, parameters) {
        case ("A", _): self.row = max(0, self.row - number)
        case ("C", _): self.column = min(self.columns - 1, self.column + number)
        case ("H", ""): (self.row, self.column) = (0, 0)
        case ("J", ""):
            for column in self.column..<self.columns { self.cells[self.row][column] = " " }
            for row in self.cells.indices.dropFirst(self.row + 1) {
                self.cells[row] = self.blankRow
            }
        case ("J", "2"): self.cells = self.cells.map { _ in self.blankRow }
        case ("K", ""):
            for column in self.column..<self.columns { self.cells[self.row][column] = " " }
        case ("h", "?1049"), ("l", "?1049"):
            // The second screen of xterm, which `top` uses; the first one is back afterwards.
            guard (final == "h") != self.isAlternate else { break }
            self.isAlternate.toggle()
            swap(&self.cells, &self.otherCells)
            if self.isAlternate {
                self.cells = self.otherCells.map { _ in self.blankRow }
                self.savedCursor = (self.row, self.column)
            } else {
                (self.row, self.column) = self.savedCursor
            }
        case ("h", "?25"), ("l", "?25"): self.isCursorVisible = final == "h"
        case ("h", "?7"), ("l", "?7"): self.wraps = final == "h"
        case ("m", _), ("h", "?2004"), ("l", "?2004"): break
        default: self.unknownSequences.append("\(parameters)\(final)")
        }
    }

    private mutating func lineFeed() {
        self.isWrapPending = false
        if self.row + 1 < self.cells.count {
            self.row += 1
        } else {
            self.cells.removeFirst()
            self.cells.append(self.blankRow)
        }
    }

    private mutating func put(_ character: Character) {
        let scalar = character.unicodeScalars.first?.value ?? 0
        let width = (0x2E80...0xFFEF).contains(scalar) || scalar >= 0x1F300 ? 2 : 1
        if !self.wraps, self.isWrapPending || self.column + width > self.columns { return }
        if self.isWrapPending || self.column + width > self.columns {
            self.column = 0
            self.lineFeed()
        }
        self.cells[self.row][self.column] = character
        if width == 2 { self.cells[self.row][self.column + 1] = Self.filler }
        self.column += width
        guard self.column >= self.columns else { return }
        self.column = self.columns - 1
        self.isWrapPending = true
    }
}
