import Bytes
import ChatModel

/// The columns of a table, from which its statements are made.
struct TableColumns: FieldVisitor {
    private var names: [String]
    private let renamed: [String: String]

    /// - Parameters:
    ///   - first: those before the fields of the record.
    ///   - last: those behind them.
    ///   - renamed: those that are not named as their fields.
    init(
        _ first: [String], _ record: some FieldRecord, _ last: [String],
        renamed: [String: String] = [:]
    ) {
        self.names = first
        self.renamed = renamed
        record.readFields(&self)
        self.names += last
    }

    mutating func visit(_ name: StaticString, text: inout ByteString?, isOptional: Bool) {
        self.add(name)
    }

    mutating func visit(_ name: StaticString, number: inout Int64?, _ kind: FieldNumber) {
        self.add(name)
    }

    private mutating func add(_ name: StaticString) {
        self.names.append(self.renamed[name.description] ?? name.description)
    }

    var list: String { self.names.joined(separator: ", ") }

    /// `(a, b) VALUES (?1, ?2)` for all columns.
    var values: String {
        let parameters = self.names.indices.map { "?\($0 + 1)" }.joined(separator: ", ")
        return "(\(self.list)) VALUES (\(parameters))"
    }

    /// `name = ?3`, … for all columns but those of the primary key, which are the first.
    func assignments(keyCount: Int) -> String {
        self.names.indices.dropFirst(keyCount).map { "\(self.names[$0]) = ?\($0 + 1)" }
            .joined(separator: ", ")
    }
}

/// Binds the values of a row in the order of its columns, and calculates their checksum.
struct RowWriter: FieldVisitor {
    private let statement: SQLiteStatement
    private var parameter: Int32 = 0
    private var sum = RowChecksum()

    init(_ statement: SQLiteStatement) { self.statement = statement }

    mutating func append(_ number: Int) {
        self.parameter += 1
        self.statement.bind(self.parameter, number)
        self.sum.fold(number)
    }

    mutating func append(_ number: Int?) {
        self.parameter += 1
        self.statement.bind(self.parameter, number)
        self.sum.fold(number)
    }

    mutating func append(_ text: ByteString?) {
        self.parameter += 1
        self.statement.bind(self.parameter, copying: text)
        self.sum.fold(text)
    }

    /// Binds the checksum of all values and executes the statement.
    mutating func run() throws(StorageFault) {
        self.statement.bind(self.parameter + 1, self.sum.value)
        try self.statement.run()
    }

    mutating func visit(_ name: StaticString, text: inout ByteString?, isOptional: Bool) {
        self.append(text)
    }

    mutating func visit(_ name: StaticString, number: inout Int64?, _ kind: FieldNumber) {
        let value = number.map { Int($0) }
        if kind == .optionalTime { self.append(value) } else { self.append(value ?? 0) }
    }
}

/// Reads the values of a row in the order of its columns, and calculates their checksum.
struct RowReader: FieldVisitor {
    struct Failure: Error {}

    private let row: SQLiteStatement
    private var column: Int32 = 0
    private var sum = RowChecksum()

    init(_ row: SQLiteStatement) { self.row = row }

    mutating func number() -> Int {
        defer { self.column += 1 }
        let number = self.row.int(self.column)
        self.sum.fold(number)
        return number
    }

    mutating func optionalNumber() -> Int? {
        defer { self.column += 1 }
        let number = self.row.optionalInt(self.column)
        self.sum.fold(number)
        return number
    }

    mutating func text() -> ByteString? {
        defer { self.column += 1 }
        let bytes = self.row.bytes(self.column)
        self.sum.fold(bytes)
        return bytes.map { ByteString(String(decoding: $0, as: UTF8.self)) }
    }

    /// Nil if a field has a value that is never stored.
    mutating func record<Record: FieldRecord>() -> Record? {
        var record = Record.blank
        do {
            try record.visitFields(&self)
            return record
        } catch {
            return nil
        }
    }

    /// Whether the next column is the checksum of all values.
    var isIntact: Bool { self.sum.value == self.row.int(self.column) }

    mutating func visit(_ name: StaticString, text: inout ByteString?, isOptional: Bool) {
        text = self.text()
    }

    mutating func visit(_ name: StaticString, number: inout Int64?, _ kind: FieldNumber) {
        let value = kind == .optionalTime ? self.optionalNumber() : self.number()
        number = value.map { Int64($0) }
    }

    func invalid(_ name: StaticString) -> Failure { Failure() }
}

extension RowChecksum {
    mutating func fold(_ text: ByteString?) {
        guard let text else { return self.fold(UnsafeRawBufferPointer?.none) }
        text.withBytes { self.fold(UnsafeRawBufferPointer($0)) }
    }
}
