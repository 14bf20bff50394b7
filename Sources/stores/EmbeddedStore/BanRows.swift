import Bytes
import ChatModel

/// The table `bans`.
struct BanRows {
    /// In the order of the checksum.
    private static let columns =
        "tenant, user, conversation, reason, operator, until, since, checksum"
    private let selection: SQLiteStatement
    private let count: SQLiteStatement
    private let replacement: SQLiteStatement
    private let deletion: SQLiteStatement
    private let expiry: SQLiteStatement
    private let changes: SQLiteStatement

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        self.selection = try connection.prepare(
            "SELECT \(Self.columns) FROM bans")
        // Counts a replaced ban as a free place.
        self.count = try connection.prepare(
            "SELECT count(*) FROM bans WHERE (tenant, user, conversation) <> (?, ?, ?)")
        self.changes = try connection.prepare("SELECT changes()")
        self.replacement = try connection.prepare(
            "REPLACE INTO bans (\(Self.columns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
        self.deletion = try connection.prepare(
            "DELETE FROM bans WHERE tenant = ? AND user = ? AND conversation = ?")
        self.expiry = try connection.prepare("DELETE FROM bans WHERE until <= ?")
    }

    /// All rows. A damaged one does not keep the others from being enforced.
    ///
    /// - Parameter path: of the file, for failures.
    func all(in path: String) throws(StorageFault) -> StoreAnswer {
        defer { self.selection.reset() }
        var bans: [Ban] = []
        var damaged: [StoreFailure] = []
        while try self.selection.next() {
            var row = RowReader(self.selection)
            let (tenant, user, conversation) = (row.text() ?? "", row.text() ?? "", row.text())
            let (reason, name) = (row.text() ?? "", row.text() ?? "")
            let until = row.optionalNumber().map { Timestamp(milliseconds: Int64($0)) }
            let ban = Ban(
                Ban.Subject(
                    tenant: tenant, user: user,
                    conversation: conversation == "" ? nil : conversation),
                until: until, reason: reason.string, by: name.string,
                since: Timestamp(milliseconds: Int64(row.number())))
            guard row.isIntact else {
                damaged.append(
                    StoreFailure(
                        """
                        \(path): it is damaged: the ban of user \(ban.subject.user) of tenant \
                        \(ban.subject.tenant) is not what was stored
                        """, isRequestSpecific: true))
                continue
            }
            bans.append(ban)
        }
        return .bans(bans, damaged: damaged)
    }

    func put(_ ban: Ban) throws(StorageFault) -> StoreAnswer {
        if try self.countOthers(than: ban.subject) >= Ban.countLimit {
            self.expiry.bind(1, Int(ban.since.milliseconds))
            try self.expiry.run()
            guard try self.countOthers(than: ban.subject) < Ban.countLimit else {
                return .failed(StoreRequest.tooManyBans)
            }
        }
        var row = RowWriter(self.replacement)
        for text in [
            ban.subject.tenant, ban.subject.user, ban.subject.conversation ?? "",
            ByteString(ban.reason), ByteString(ban.operatorName),
        ] { row.append(text) }
        row.append(ban.until.map { Int($0.milliseconds) })
        row.append(Int(ban.since.milliseconds))
        try row.run()
        return .done
    }

    /// - Returns: whether there was a ban.
    func remove(_ subject: Ban.Subject) throws(StorageFault) -> Bool {
        self.bind(subject, to: self.deletion)
        try self.deletion.run()
        defer { self.changes.reset() }
        return try self.changes.next() && self.changes.int(0) > 0
    }

    private func countOthers(than subject: Ban.Subject) throws(StorageFault) -> Int {
        self.bind(subject, to: self.count)
        defer { self.count.reset() }
        return try self.count.next() ? self.count.int(0) : 0
    }

    /// Binds the three columns of the key as the first parameters.
    private func bind(_ subject: Ban.Subject, to statement: SQLiteStatement) {
        statement.bind(1, copying: subject.tenant)
        statement.bind(2, copying: subject.user)
        statement.bind(3, copying: subject.conversation ?? "")
    }
}
