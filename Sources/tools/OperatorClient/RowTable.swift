internal import Configuration
import JSON

/// The rows of a document with their columns, for output as a table or CSV.
struct RowTable {
    typealias Column = OperatorColumn

    let columns: [Column]
    private(set) var rows: [JSONTree]

    init(_ columns: [Column], _ rows: [JSONTree]) {
        self.columns = columns
        self.rows = rows
    }

    // MARK: Order

    /// Finds a column by title or key, in any case. Nil if there is none.
    static func column(_ name: String, among columns: [Column]) -> Column? {
        let searched = name.lowercased()
        return columns.first { $0.title.lowercased() == searched || $0.key == searched }
    }

    /// Rows without a value come last in either order. The sort is stable.
    mutating func sort(by key: String, isDescending: Bool) {
        self.rows = self.rows.enumerated().sorted { left, right in
            switch (left.element[key], right.element[key]) {
            case (nil, nil), (.null, .null), (nil, .null), (.null, nil):
                return left.offset < right.offset
            case (nil, _), (.null, _): return false
            case (_, nil), (_, .null): return true
            case (let one?, let other?):
                let order = Self.compare(one, other)
                return order == 0 ? left.offset < right.offset : (order < 0) != isDescending
            }
        }.map(\.element)
    }

    private static func compare(_ one: JSONTree, _ other: JSONTree) -> Int {
        if let left = one.doubleValue, let right = other.doubleValue {
            return left < right ? -1 : left > right ? 1 : 0
        }
        let (left, right) = (one.stringValue ?? one.text, other.stringValue ?? other.text)
        return left < right ? -1 : left > right ? 1 : 0
    }

    mutating func limit(to count: Int) { self.rows = Array(self.rows.prefix(count)) }

    // MARK: Output

    /// - Parameter all: the rows to sum up in the totals.
    func table(totalsOf all: [JSONTree]? = nil) -> TextTable {
        let shown = RowTable(self.columns.filter(self.isShown), self.rows)
        return TextTable(
            columns: shown.columns.map {
                TextTable.Column(
                    title: $0.title, isNumber: $0.format.isNumber, importance: $0.importance)
            },
            rows: shown.rows.map { row in
                shown.columns.map { Self.cell(row[$0.key] ?? .null, $0.format, row) }
            },
            totals: all.map { shown.totals(of: $0) })
    }

    private func isShown(_ column: Column) -> Bool {
        !column.isOptional
            || self.rows.contains {
                switch $0[column.key] {
                case nil, .null?, .bool(false)?: false
                case .array(let elements)?: !elements.isEmpty
                default: true
                }
            }
    }

    private func totals(of rows: [JSONTree]) -> [TextTable.Cell] {
        self.columns.enumerated().map { index, column in
            if index == 0 { return TextTable.Cell(text: "total") }
            guard column.isSummed else { return TextTable.Cell(text: "") }
            let sum = rows.compactMap { $0[column.key]?.doubleValue }.reduce(0, +)
            return Self.cell(.number(OperatorText.decimal(sum)), column.format, .null)
        }
    }

    /// One row, as lines of title and value.
    func record() -> String {
        let width = self.columns.map(\.title.count).max() ?? 0
        let row = self.rows.first ?? .null
        return self.columns.map { column in
            let text = Self.cell(row[column.key] ?? .null, column.format, row).text
            return column.title + String(repeating: " ", count: width - column.title.count + 2)
                + text + "\n"
        }.joined()
    }

    /// RFC 4180, except for line ends; numbers as in the document.
    func csv(hasHeader: Bool = true) -> String {
        var text = hasHeader ? self.columns.map(\.key).joined(separator: ",") + "\n" : ""
        for row in self.rows {
            text +=
                self.columns.map { Self.quoted(Self.plain(row[$0.key] ?? .null)) }.joined(
                    separator: ",") + "\n"
        }
        return text
    }

    private static func plain(_ value: JSONTree) -> String {
        switch value {
        case .null: ""
        case .string(let text): text
        case .array(let elements): elements.map(self.plain).joined(separator: "; ")
        default: value.text
        }
    }

    private static func quoted(_ text: String) -> String {
        // A quote character keeps spreadsheets from evaluating the text as a formula.
        let text =
            text.first.map { "=+@".contains($0) || $0 == "-" && Double(text) == nil } == true
            ? "'\(text)" : text
        guard text.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return text }
        return "\"" + text.map { $0 == "\"" ? "\"\"" : String($0) }.joined() + "\""
    }

    /// How many ranges a cell shows.
    private static let shownRanges = 3

    static func cell(_ value: JSONTree, _ form: OperatorColumn.Format, _ row: JSONTree)
        -> TextTable.Cell
    {
        guard !value.isNull else { return TextTable.Cell(text: "-") }
        let number = value.doubleValue ?? 0
        switch form {
        case .text, .number, .numberText, .list:
            return TextTable.Cell(text: Formatting.escaped(self.plain(value)))
        case .ranges:
            let ranges = (value.elements ?? []).compactMap(\.stringValue)
            let rest = ranges.count - Self.shownRanges
            let text = ranges.prefix(Self.shownRanges).joined(separator: " ")
            return TextTable.Cell(
                text: Formatting.escaped(rest > 0 ? "\(text) and \(rest) more" : text))
        case .bytes: return TextTable.Cell(text: Formatting.bytes(number))
        case .seconds: return TextTable.Cell(text: Formatting.time(Int(number)))
        case .milliseconds: return TextTable.Cell(text: "\(OperatorText.decimal(number)) ms")
        case .percent: return TextTable.Cell(text: "\(OperatorText.decimal(number)) %")
        case .deviation: return TextTable.Cell(text: "\(number > 0 ? "+" : "")\(Int(number)) %")
        case .flag: return TextTable.Cell(text: value.boolValue == true ? "yes" : "no")
        case .state: return self.state(value.stringValue ?? "", row)
        }
    }

    private static func state(_ word: String, _ row: JSONTree) -> TextTable.Cell {
        switch word {
        case "active", "stable", "ok": return TextTable.Cell(text: word, severity: .good)
        case "draining", "drained", "moving", "warning":
            return TextTable.Cell(text: word, severity: .warning)
        case "gone":
            return TextTable.Cell(
                text: "gone \(Formatting.time(row["unreachable_for"]?.integerValue ?? 0))",
                severity: .bad)
        default: return TextTable.Cell(text: Formatting.escaped(word), severity: .bad)
        }
    }
}
