import Bytes
import ChatModel

/// The columns of a table, from which its statements are made.
struct TableColumns {
    let names: [String]

    var list: String { self.names.joined(separator: ", ") }

    /// Parameters for all columns.
    var parameters: String {
        (1...self.names.count).map { "?\($0)" }.joined(separator: ", ")
    }

    /// `name = ?3`, … for all columns but those of the primary key, which are the first.
    func assignments(keyCount: Int) -> String {
        self.names.enumerated().dropFirst(keyCount).map { "\($1) = ?\($0 + 1)" }
            .joined(separator: ", ")
    }
}

/// Binds the values of a row in the order of its columns, and calculates their checksum.
struct RowWriter: FieldVisitor {
    typealias Failure = Never

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

    mutating func visit(_ name: StaticString, text: inout ByteString?) { self.append(text) }
    mutating func visit(_ name: StaticString, byte: inout UInt8) { self.append(Int(byte)) }
    mutating func visit(_ name: StaticString, number: inout Int) { self.append(number) }
    mutating func visit(_ name: StaticString, time: inout Timestamp?) {
        self.append(time.map { Int($0.milliseconds) })
    }
    mutating func visit(_ name: StaticString, requiredText: inout ByteString) {
        self.append(requiredText)
    }
    mutating func visit(_ name: StaticString, requiredTime: inout Timestamp) {
        self.append(Int(requiredTime.milliseconds))
    }
}

/// Reads the values of a row in the order of its columns, and calculates their checksum.
struct RowReader: FieldVisitor {
    /// A value that was never written.
    struct InvalidField: Error {}
    typealias Failure = InvalidField

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

    /// Whether the next column is the checksum of all values.
    var isIntact: Bool { self.sum.value == self.row.int(self.column) }

    mutating func visit(_ name: StaticString, text: inout ByteString?) { text = self.text() }

    mutating func visit(_ name: StaticString, byte: inout UInt8) throws(InvalidField) {
        guard let number = UInt8(exactly: self.number()) else { throw InvalidField() }
        byte = number
    }

    mutating func visit(_ name: StaticString, number: inout Int) { number = self.number() }

    mutating func visit(_ name: StaticString, time: inout Timestamp?) {
        time = self.optionalNumber().map { Timestamp(milliseconds: Int64($0)) }
    }

    mutating func visit(_ name: StaticString, requiredText: inout ByteString) {
        requiredText = self.text() ?? ""
    }

    mutating func visit(_ name: StaticString, requiredTime: inout Timestamp) {
        requiredTime = Timestamp(milliseconds: Int64(self.number()))
    }

    func invalid(_ name: StaticString, _ byte: UInt8) -> InvalidField { InvalidField() }
}

extension RowChecksum {
    mutating func fold(_ text: ByteString?) {
        guard let text else { return self.fold(UnsafeRawBufferPointer?.none) }
        text.withBytes { self.fold(UnsafeRawBufferPointer($0)) }
    }
}
