import Bytes

/// The table `settings`: numbers that apply to the whole file.
struct SettingRows {
    enum Key: String {
        /// The log position up to which `places` is complete.
        case indexedThrough = "settled"
        /// The log position up to which `search` is complete, and the format of its words.
        case searchedThrough = "searched"
        case searchFormat = "search format"
        /// Incremented by every probe, so that a probe is a real write.
        case probes
    }

    private let selection: SQLiteStatement
    private let replacement: SQLiteStatement

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        self.selection = try connection.prepare(
            "SELECT name, value, checksum FROM settings WHERE name = ?")
        self.replacement = try connection.prepare("REPLACE INTO settings VALUES (?, ?, ?)")
    }

    /// The value of a setting; 0 if it was never set.
    func value(_ name: Key) throws(StorageFault) -> Int { try self.storedValue(name) ?? 0 }

    /// The value of a setting; nil if it was never set.
    func storedValue(_ name: Key) throws(StorageFault) -> Int? {
        let key = ByteString(name.rawValue)
        self.selection.bind(1, copying: key)
        defer { self.selection.reset() }
        guard try self.selection.next() else { return nil }
        var row = RowReader(self.selection)
        let (found, value) = (row.text(), row.number())
        guard found == key, row.isIntact else {
            throw .damaged("the setting \(name.rawValue) is not what was stored")
        }
        return value
    }

    func put(_ value: Int, in name: Key) throws(StorageFault) {
        var row = RowWriter(self.replacement)
        row.append(ByteString(name.rawValue))
        row.append(value)
        try row.run()
    }
}
