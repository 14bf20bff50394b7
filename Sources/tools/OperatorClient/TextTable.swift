/// A table for a terminal: columns as wide as their content, and together no wider than the
/// terminal.
///
/// If they do not fit, the least important columns are left out first, with a note. Text is cut
/// only after that, because a cut number would be wrong.
struct TextTable: Equatable {
    struct Column: Equatable {
        let title: String
        /// Numbers are aligned to the right.
        let isNumber: Bool
        /// The columns with the lowest importance are left out first; of several, the last.
        let importance: Int
    }

    /// The severity of a cell, shown as a colour.
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

    /// - Parameters:
    ///   - width: the width of the terminal; nil if nothing is to be left out.
    ///   - namesHidden: whether a last line names the columns that do not fit.
    func text(
        width: Int?, isColoured: Bool, hasHeader: Bool = true, namesHidden: Bool = true
    ) -> String {
        var visible = Array(self.columns.indices)
        var widths = self.columns.indices.map(self.width)
        if let width {
            while self.total(visible, widths) > width, let least = self.leastImportant(of: visible)
            {
                visible.removeAll { $0 == least }
            }
            // A wide column that was left out may have made room for narrow ones.
            let hidden = self.columns.indices.filter { !visible.contains($0) }
            for index in hidden.sorted(by: {
                self.columns[$0].importance > self.columns[$1].importance
            }) where self.total(visible + [index], widths) <= width {
                visible = (visible + [index]).sorted()
            }
            // Only required columns are left: the widest text column is cut.
            while self.total(visible, widths) > width,
                let widest = visible.filter({
                    !self.columns[$0].isNumber && widths[$0] > Self.minimumWidth
                }).max(by: { widths[$0] < widths[$1] }
                )
            {
                widths[widest] = max(
                    Self.minimumWidth, widths[widest] - (self.total(visible, widths) - width))
            }
        }
        var text = ""
        if hasHeader {
            text = self.line(
                self.columns.map { Cell(text: $0.title) }, visible, widths,
                style: isColoured ? "1" : nil, isColoured: false)
        }
        for row in self.rows {
            text += self.line(row, visible, widths, style: nil, isColoured: isColoured)
        }
        if let totals = self.totals {
            text += self.line(
                totals, visible, widths, style: isColoured ? "1" : nil, isColoured: false)
        }
        let missing = self.columns.indices.filter { !visible.contains($0) }.map {
            self.columns[$0].title
        }
        if !missing.isEmpty, hasHeader, namesHidden {
            let note = "Columns left out: \(missing.joined(separator: ", ")); --wide shows all."
            text += Self.wrapped(note, width ?? .max)
        }
        return text
    }

    /// The sentence in lines of at most `width` characters, if its words allow it.
    private static func wrapped(_ sentence: String, _ width: Int) -> String {
        var lines = [""]
        for word in sentence.split(separator: " ") {
            let line = lines[lines.count - 1]
            if line.isEmpty {
                lines[lines.count - 1] = String(word)
            } else if line.count + 1 + word.count <= width {
                lines[lines.count - 1] += " \(word)"
            } else {
                lines.append(String(word))
            }
        }
        return lines.map { $0 + "\n" }.joined()
    }

    private func width(_ column: Int) -> Int {
        (self.rows + (self.totals.map { [$0] } ?? [])).map { $0[column].text.count }.reduce(
            self.columns[column].title.count, max)
    }

    private func total(_ visible: [Int], _ widths: [Int]) -> Int {
        visible.map { widths[$0] }.reduce(0, +) + Self.gap * max(0, visible.count - 1)
    }

    private func leastImportant(of visible: [Int]) -> Int? {
        visible.filter { self.columns[$0].importance < .max }.min { left, right in
            let (one, other) = (self.columns[left].importance, self.columns[right].importance)
            return one == other ? left > right : one < other
        }
    }

    private func line(
        _ cells: [Cell], _ visible: [Int], _ widths: [Int], style: String?, isColoured: Bool
    ) -> String {
        var line = ""
        for (index, column) in visible.enumerated() {
            var text = cells[column].text
            if text.count > widths[column] { text = String(text.prefix(widths[column] - 1)) + "…" }
            let space = String(repeating: " ", count: widths[column] - text.count)
            let code = style ?? (isColoured ? cells[column].severity.code : nil)
            if let code, !text.isEmpty { text = "\u{1B}[\(code)m\(text)\u{1B}[0m" }
            if index > 0 { line += String(repeating: " ", count: Self.gap) }
            let isLast = index == visible.count - 1
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
