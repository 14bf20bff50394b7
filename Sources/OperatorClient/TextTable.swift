/// A table as a terminal shows it: columns as wide as what is in them, and all of them no wider than the terminal.
///
/// Where that is too narrow, the least important columns are left out, whole and with a word about it, before any text is cut: half a
/// number is worse than none.
struct TextTable: Equatable {
    struct Column: Equatable {
        let title: String
        /// Numbers stand at the right.
        let isNumber: Bool
        /// Those with the least go first where there is no room for all; of several the last.
        let importance: Int
    }

    /// What a cell tells at a glance, where colours are shown.
    enum Severity { case none, good, warning, bad }

    struct Cell: Equatable {
        let text: String
        var severity = Severity.none
    }

    static let gap = 2
    private static let minimumWidth = 8

    let columns: [Column]
    var rows: [[Cell]]
    var totals: [Cell]?

    /// - Parameter width: of the terminal; nil where there is none.
    func text(width: Int?, isColoured: Bool) -> String {
        var shown = Array(self.columns.indices)
        var widths = self.columns.indices.map(self.width)
        if let width {
            while self.total(shown, widths) > width, let least = self.leastImportant(of: shown) {
                shown.removeAll { $0 == least }
            }
            // Only what must be there is left: its longest text gives way.
            while self.total(shown, widths) > width,
                let widest = shown.filter({
                    !self.columns[$0].isNumber && widths[$0] > Self.minimumWidth
                }).max(by: { widths[$0] < widths[$1] }
                )
            {
                widths[widest] = max(
                    Self.minimumWidth, widths[widest] - (self.total(shown, widths) - width))
            }
        }
        var text = self.line(
            self.columns.map { Cell(text: $0.title) }, shown, widths, style: isColoured ? "1" : nil,
            isColoured: false)
        for row in self.rows {
            text += self.line(row, shown, widths, style: nil, isColoured: isColoured)
        }
        if let totals = self.totals {
            text += self.line(
                totals, shown, widths, style: isColoured ? "1" : nil, isColoured: false)
        }
        let missing = self.columns.indices.filter { !shown.contains($0) }.map {
            self.columns[$0].title
        }
        if !missing.isEmpty {
            text +=
                "No room for \(missing.joined(separator: ", ")); --output json has everything.\n"
        }
        return text
    }

    private func width(_ column: Int) -> Int {
        (self.rows + (self.totals.map { [$0] } ?? [])).map { $0[column].text.count }.reduce(
            self.columns[column].title.count, max)
    }

    private func total(_ shown: [Int], _ widths: [Int]) -> Int {
        shown.map { widths[$0] }.reduce(0, +) + Self.gap * max(0, shown.count - 1)
    }

    private func leastImportant(of shown: [Int]) -> Int? {
        shown.filter { self.columns[$0].importance < .max }.min { left, right in
            let (one, other) = (self.columns[left].importance, self.columns[right].importance)
            return one == other ? left > right : one < other
        }
    }

    private func line(
        _ cells: [Cell], _ shown: [Int], _ widths: [Int], style: String?, isColoured: Bool
    ) -> String {
        var line = ""
        for (place, column) in shown.enumerated() {
            var text = cells[column].text
            if text.count > widths[column] { text = String(text.prefix(widths[column] - 1)) + "…" }
            let space = String(repeating: " ", count: widths[column] - text.count)
            let code = style ?? (isColoured ? cells[column].severity.code : nil)
            if let code, !text.isEmpty { text = "\u{1B}[\(code)m\(text)\u{1B}[0m" }
            if place > 0 { line += String(repeating: " ", count: Self.gap) }
            let isLast = place == shown.count - 1
            line += self.columns[column].isNumber ? space + text : isLast ? text : text + space
        }
        while line.hasSuffix(" ") { line.removeLast() }
        return line + "\n"
    }
}

extension TextTable.Severity {
    fileprivate var code: String? {
        switch self {
        case .none: nil
        case .good: "32"
        case .warning: "33"
        case .bad: "31"
        }
    }
}
