import Bytes
internal import CSQLite

/// A prepared statement. As in SQLite, parameters count from 1 and columns from 0.
final class SQLiteStatement {
    private let handle: OpaquePointer
    /// Retained, because a connection must outlive its statements.
    private let connection: SQLiteConnection

    init(_ handle: OpaquePointer, of connection: SQLiteConnection) {
        self.handle = handle
        self.connection = connection
    }

    deinit {
        sqlite3_finalize(self.handle)
    }

    @inline(__always)
    func bind(_ parameter: Int32, _ value: Int) {
        sqlite3_bind_int64(self.handle, parameter, Int64(value))
    }

    func bind(_ parameter: Int32, _ value: Int?) {
        if let value {
            self.bind(parameter, value)
        } else {
            sqlite3_bind_null(self.handle, parameter)
        }
    }

    /// Binds bytes that must stay valid until the statement has run and been reset (SQLITE_STATIC).
    @inline(__always)
    func bind(_ parameter: Int32, text: UnsafeRawBufferPointer?) {
        guard let text else { return _ = sqlite3_bind_null(self.handle, parameter) }
        sqlite3_bind_text(
            self.handle, parameter, text.baseAddress?.assumingMemoryBound(to: CChar.self),
            Int32(text.count), nil)
    }

    /// Binds a copy of a text.
    func bind(_ parameter: Int32, copying text: ByteString?) {
        guard let text else { return _ = sqlite3_bind_null(self.handle, parameter) }
        let copies = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        text.withBytes { bytes in
            let bytes = UnsafeRawBufferPointer(bytes)
            // SQLite binds NULL for a text without an address.
            let start = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1)
            sqlite3_bind_text(
                self.handle, parameter, start?.assumingMemoryBound(to: CChar.self),
                Int32(bytes.count), copies)
        }
    }

    /// As `bind(_:text:)`, for a blob.
    @inline(__always)
    func bind(_ parameter: Int32, blob: UnsafeRawBufferPointer?) {
        guard let blob else { return _ = sqlite3_bind_null(self.handle, parameter) }
        sqlite3_bind_blob(self.handle, parameter, blob.baseAddress, Int32(blob.count), nil)
    }

    /// Steps to the next row; returns false if there is none.
    @inline(__always)
    func step() throws(SQLiteFailure) -> Bool {
        let code = sqlite3_step(self.handle)
        if code == SQLITE_ROW { return true }
        if code == SQLITE_DONE { return false }
        throw self.connection.failure(code)
    }

    @inline(__always)
    func reset() {
        sqlite3_reset(self.handle)
    }

    func int(_ column: Int32) -> Int {
        Int(sqlite3_column_int64(self.handle, column))
    }

    func optionalInt(_ column: Int32) -> Int? {
        sqlite3_column_type(self.handle, column) == SQLITE_NULL ? nil : self.int(column)
    }

    /// The bytes of a text or blob, valid until the next step; nil for NULL.
    func bytes(_ column: Int32) -> UnsafeRawBufferPointer? {
        guard sqlite3_column_type(self.handle, column) != SQLITE_NULL else { return nil }
        let bytes = sqlite3_column_blob(self.handle, column)
        return UnsafeRawBufferPointer(
            start: bytes, count: Int(sqlite3_column_bytes(self.handle, column)))
    }

    func text(_ column: Int32) -> String? {
        self.bytes(column).map { String(decoding: $0, as: UTF8.self) }
    }
}
