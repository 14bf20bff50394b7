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
    private let text = RowTextBuffer()

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        self.selection = try connection.prepare(
            "SELECT value, checksum FROM settings WHERE name = ?")
        self.replacement = try connection.prepare("REPLACE INTO settings VALUES (?, ?, ?)")
    }

    /// The value of a setting; 0 if it was never set.
    func value(_ name: Key) throws(StorageFault) -> Int { try self.storedValue(name) ?? 0 }

    /// The value of a setting; nil if it was never set.
    func storedValue(_ name: Key) throws(StorageFault) -> Int? {
        self.text.begin(byteCount: name.rawValue.utf8.count)
        self.selection.bind(1, text: self.text.copy(name.rawValue))
        defer { self.selection.reset() }
        guard try self.selection.next() else { return nil }
        let value = self.selection.int(0)
        guard self.checksum(of: value, in: name) == self.selection.int(1) else {
            throw .damaged("the setting \(name.rawValue) is not what was stored")
        }
        return value
    }

    func put(_ value: Int, in name: Key) throws(StorageFault) {
        let sum = self.checksum(of: value, in: name)
        self.text.begin(byteCount: name.rawValue.utf8.count)
        self.replacement.bind(1, text: self.text.copy(name.rawValue))
        self.replacement.bind(2, value)
        self.replacement.bind(3, sum)
        try self.replacement.run()
    }

    private func checksum(of value: Int, in name: Key) -> Int {
        self.text.begin(byteCount: name.rawValue.utf8.count)
        var sum = RowChecksum()
        sum.fold(self.text.copy(name.rawValue))
        sum.fold(value)
        return sum.value
    }
}
