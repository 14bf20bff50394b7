internal import JSON

/// The order of a list: a column, and rows with the same value by their id.
struct RowOrder: Sendable, Equatable {
    /// The key of the column in the rows.
    let column: String
    let isDescending: Bool

    init(column: String, isDescending: Bool) {
        self.column = column
        self.isDescending = isDescending
    }

    /// Parses a column's key, with a leading minus for descending order. Nil if no column has it.
    init?(_ text: String, among columns: [String]) {
        let isDescending = text.hasPrefix("-")
        let column = isDescending ? String(text.dropFirst()) : text
        guard columns.contains(column) else { return nil }
        self.init(column: column, isDescending: isDescending)
    }

    var text: String { self.isDescending ? "-\(self.column)" : self.column }

    /// Rows without a value come last in either order.
    func precedes(_ left: RowPosition, _ right: RowPosition) -> Bool {
        switch (left.value, right.value) {
        case (.missing, .missing): break
        case (.missing, _): return false
        case (_, .missing): return true
        case let (one, other):
            if one != other { return (one < other) != self.isDescending }
        }
        return left.id < right.id
    }
}

/// The place of a row in an order.
struct RowPosition: Sendable, Equatable {
    /// A value of the column. Numbers come before texts.
    enum Value: Sendable, Comparable {
        case number(Double)
        case text(String)
        case missing

        init(_ tree: JSONTree?) {
            switch tree {
            case .number(let text)?: self = Double(text).map { .number($0) } ?? .missing
            case .string(let text)?: self = .text(text)
            case .bool(let value)?: self = .number(value ? 1 : 0)
            case .null?, .array?, .object?, nil: self = .missing
            }
        }

        var tree: JSONTree {
            switch self {
            case .number(let number): .number("\(number)")
            case .text(let text): .string(text)
            case .missing: .null
            }
        }
    }

    let value: Value
    let id: String

    init(_ value: Value, id: String) {
        self.value = value
        self.id = id
    }

    /// Nil if the object is malformed.
    init?(_ tree: JSONTree) {
        guard let id = tree["id"]?.stringValue, let value = tree["value"] else { return nil }
        self.init(Value(value), id: id)
    }

    var tree: JSONTree { ["value": self.value.tree, "id": .string(self.id)] }
}

/// The first rows of a list in an order, selected from any number of rows.
///
/// A node has a hundred thousand connections and an operator reads a hundred rows. Therefore rows
/// that cannot be among the first ones are not even built, and no more than twice the limit are
/// retained.
struct RankedRows: Sendable {
    private struct Entry: Sendable {
        let position: RowPosition
        let row: JSONTree
    }

    let order: RowOrder
    let limit: Int
    /// Only rows behind this position are selected.
    let start: RowPosition?
    private var entries: [Entry] = []
    /// The last selected position, once there are enough rows.
    private var bound: RowPosition?
    /// The rows that were offered.
    private(set) var offeredCount = 0
    /// Rows behind `start` that are not selected.
    private var isAnyLeftOut = false

    init(by order: RowOrder, limit: Int, after start: RowPosition? = nil) {
        self.order = order
        self.limit = max(1, limit)
        self.start = start
    }

    mutating func offer(_ position: RowPosition, _ row: @autoclosure () -> JSONTree) {
        self.offeredCount += 1
        if let start = self.start, !self.order.precedes(start, position) { return }
        if let bound = self.bound, !self.order.precedes(position, bound) {
            self.isAnyLeftOut = true
            return
        }
        self.entries.append(Entry(position: position, row: row()))
        if self.entries.count >= 2 * self.limit { self.prune() }
    }

    /// Adds the selected rows of another list in the same order.
    mutating func merge(_ other: RankedRows) {
        self.entries += other.entries
        self.offeredCount += other.offeredCount
        self.isAnyLeftOut = self.isAnyLeftOut || other.isAnyLeftOut
        if self.entries.count >= 2 * self.limit { self.prune() }
    }

    /// Sorts the rows, and removes those behind the limit.
    private mutating func prune() {
        self.entries.sort { self.order.precedes($0.position, $1.position) }
        guard self.entries.count > self.limit else { return }
        self.isAnyLeftOut = true
        self.entries.removeLast(self.entries.count - self.limit)
        self.bound = self.entries.last?.position
    }

    /// The selected rows in order, and whether there are more behind them.
    ///
    /// - Parameter byteLimit: the rows end before their texts exceed this size; at least one row
    ///   is returned.
    mutating func page(byteLimit: Int = .max) -> (rows: [JSONTree], hasMore: Bool) {
        self.prune()
        guard byteLimit < .max else { return (self.entries.map(\.row), self.isAnyLeftOut) }
        var bytes = 0
        var rows: [JSONTree] = []
        for entry in self.entries {
            bytes += entry.row.text.utf8.count + 1
            if bytes > byteLimit, !rows.isEmpty { return (rows, true) }
            rows.append(entry.row)
        }
        return (rows, self.isAnyLeftOut)
    }
}
