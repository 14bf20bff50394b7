internal import Configuration
import JSON
internal import TerminalKit

/// The screen of `confab top`, as a value: documents and keys go in, frames come out.
///
/// It reads no clock and no terminal, so that tests compare whole frames with files.
struct TopScreen {
    enum Key: Equatable { case sort, reverse, pause, help, quit, previousView, nextView, other }

    /// A table that it can show.
    struct TopView {
        let name: String
        let path: String
        let documentKey: String
        let columns: [OperatorColumn]
        let hasTotals: Bool
        /// The server sorts and limits the rows, because there can be many.
        let isLarge: Bool

        /// Nil for a verb without a table.
        init?(_ verb: OperatorVerb) {
            guard case .table(let key, let columns, let hasTotals, let isLarge) = verb.display,
                let path = verb.path
            else { return nil }
            (self.name, self.path, self.documentKey) = (verb.name, path, key)
            (self.columns, self.hasTotals, self.isLarge) = (columns, hasTotals, isLarge)
        }
    }

    private struct ColumnOrder {
        var column: OperatorColumn
        var isDescending: Bool
    }

    let views: [TopView]
    /// For example `2 s`.
    private let interval: String
    private var current: Int
    /// The order of each view; nil for the server's.
    private var orders: [ColumnOrder?]
    private var documents: [JSONTree?]
    private var updatedAt = ""
    private var problem: String?
    private(set) var isPaused = false
    private var showsKeys = false
    private(set) var isDone = false

    /// - Parameters:
    ///   - views: at least one.
    ///   - first: the name of the first view.
    ///   - interval: the time between two requests, for the title.
    init(views: [TopView], first: String?, interval: String) {
        self.views = views
        self.interval = interval
        self.current = views.firstIndex { $0.name == first } ?? 0
        self.orders = Array(repeating: nil, count: views.count)
        self.documents = Array(repeating: nil, count: views.count)
    }

    var view: TopView { self.views[self.current] }

    // MARK: Events

    /// - Returns: whether other data is needed at once.
    mutating func pressed(_ key: Key) -> Bool {
        if self.showsKeys, key != .quit {
            self.showsKeys = false
            return false
        }
        switch key {
        case .sort: self.sortByNextColumn()
        case .reverse: self.orders[self.current]?.isDescending.toggle()
        case .pause: self.isPaused.toggle()
        case .help: self.showsKeys = true
        case .quit: self.isDone = true
        case .previousView:
            self.current = (self.current + self.views.count - 1) % self.views.count
        case .nextView: self.current = (self.current + 1) % self.views.count
        case .other: break
        }
        switch key {
        case .sort, .reverse: return self.view.isLarge
        case .pause: return !self.isPaused
        case .previousView, .nextView: return true
        case .help, .quit, .other: return false
        }
    }

    /// The first press sorts by the second column, because the first one names the row.
    private mutating func sortByNextColumn() {
        let columns = self.view.columns
        let index = self.orders[self.current].flatMap { order in
            columns.firstIndex { $0.key == order.column.key }
        }
        let column = columns[((index ?? 0) + 1) % columns.count]
        // The largest numbers matter most.
        self.orders[self.current] = ColumnOrder(
            column: column, isDescending: column.format.isNumber)
    }

    /// The parameters of the next request.
    ///
    /// - Parameter rows: the height of the terminal.
    func parameters(rows: Int) -> [JSONTree.ObjectMember] {
        guard self.view.isLarge else { return [] }
        let order = self.orders[self.current].map {
            JSONTree.ObjectMember("sort", .string(($0.isDescending ? "-" : "") + $0.column.key))
        }
        return [.init("limit", .integer(max(1, rows)))] + (order.map { [$0] } ?? [])
    }

    /// - Parameters:
    ///   - view: the name of the view for which it was requested.
    ///   - time: the time of day, for the title.
    mutating func received(_ document: JSONTree, for view: String, at time: String) {
        guard !self.isPaused, let index = self.views.firstIndex(where: { $0.name == view }) else {
            return
        }
        self.documents[index] = document
        self.updatedAt = time
        self.problem = nil
    }

    /// No node has answered. The last data stays on the screen.
    mutating func failed(_ reason: String) { self.problem = reason }

    // MARK: Frames

    /// The lines of a frame, at most as many as the terminal has rows. A terminal that does not
    /// wrap lines cuts those that are too long.
    func lines(size: TerminalSize, isColoured: Bool) -> [String] {
        let width = max(1, size.columns)
        let body = self.showsKeys ? Self.keyLines : self.tableLines(width, isColoured)
        let head = [self.title(width, isColoured), self.status(width, isColoured), ""]
        let room = max(0, size.rows - head.count - 1)
        var visible = body
        if body.count > room, room > 0 {
            let hidden = body.count - room + 1
            visible = body.prefix(room - 1) + ["… \(OperatorText.count(hidden, "line")) more"]
        }
        let padding = Array(repeating: "", count: max(0, room - visible.count))
        let lines = head + visible + padding + [Self.cut(Self.footer, width)]
        return Array(lines.prefix(max(1, size.rows)))
    }

    private static let footer =
        "s sort  r reverse  ←→ view  p pause  ? keys  q quit"

    private static let keyLines = [
        "s            sort by the next column", "r            reverse the order",
        "← → or Tab   change the view", "p            pause, and continue",
        "?            this list; any key closes it", "q            quit",
    ]

    private func title(_ width: Int, _ isColoured: Bool) -> String {
        let names = self.views.map(\.name)
        let tabs = names.enumerated().map { index, name in
            index == self.current ? "[\(name)]" : " \(name) "
        }.joined()
        let left = "confab top  \(tabs)"
        let right =
            self.isPaused ? "PAUSED \(self.updatedAt)" : "\(self.updatedAt)  every \(self.interval)"
        let gap = width - left.count - right.count
        let text = gap > 0 ? left + String(repeating: " ", count: gap) + right : left
        return isColoured ? "\u{1B}[1m\(Self.cut(text, width))\u{1B}[0m" : Self.cut(text, width)
    }

    /// The problem, or what is shown.
    private func status(_ width: Int, _ isColoured: Bool) -> String {
        if let problem = self.problem {
            let text = Self.cut("! \(Formatting.escaped(problem))", width)
            return isColoured ? "\u{1B}[31m\(text)\u{1B}[0m" : text
        }
        guard let document = self.documents[self.current] else { return "waiting for a node …" }
        var parts: [String] = []
        if let asked = document["nodes_asked"]?.integerValue,
            let answered = document["nodes_answered"]?.integerValue
        {
            parts.append("\(answered) of \(OperatorText.count(asked, "node")) answered")
        }
        if let order = self.orders[self.current] {
            parts.append(
                "sorted by \(order.column.title)" + (order.isDescending ? ", descending" : ""))
        }
        return Self.cut(parts.joined(separator: "   "), width)
    }

    private func tableLines(_ width: Int, _ isColoured: Bool) -> [String] {
        guard let rows = self.documents[self.current]?[self.view.documentKey]?.elements else {
            return []
        }
        let columns = self.view.columns.filter { column in
            column.importance == .max || rows.contains { !($0[column.key] ?? .null).isNull }
        }
        var table = RowTable(columns, rows)
        if let order = self.orders[self.current] {
            table.sort(by: order.column.key, isDescending: order.isDescending)
        }
        return table.table(totalsOf: self.view.hasTotals ? rows : nil)
            .text(width: width, isColoured: isColoured, namesHidden: false)
            .split(separator: "\n", omittingEmptySubsequences: true).map(String.init)
    }

    /// Cuts a text to so many columns.
    private static func cut(_ text: String, _ width: Int) -> String {
        guard DisplayWidth.of(text) > width else { return text }
        var kept = ""
        var used = 0
        for character in text {
            used += DisplayWidth.of(character)
            if used > width - 1 { break }
            kept.append(character)
        }
        return kept + "…"
    }
}
