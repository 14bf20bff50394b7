import Bytes
import ChatModel

/// The table `bans`.
struct BanRows {
    private let selection: SQLiteStatement
    private let count: SQLiteStatement
    private let replacement: SQLiteStatement
    private let deletion: SQLiteStatement
    private let expiry: SQLiteStatement
    private let changes: SQLiteStatement

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        self.selection = try connection.prepare(
            "SELECT tenant, user, conversation, until, reason, operator, since, checksum FROM bans")
        // Counts a replaced ban as a free place.
        self.count = try connection.prepare(
            "SELECT count(*) FROM bans WHERE (tenant, user, conversation) <> (?, ?, ?)")
        self.changes = try connection.prepare("SELECT changes()")
        self.replacement = try connection.prepare(
            "REPLACE INTO bans VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
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
            let row = self.selection
            let conversation = row.text(2) ?? ""
            let ban = Ban(
                Ban.Subject(
                    tenant: ByteString(row.text(0) ?? ""), user: ByteString(row.text(1) ?? ""),
                    conversation: conversation.isEmpty ? nil : ByteString(conversation)),
                until: row.optionalInt(3).map { Timestamp(milliseconds: Int64($0)) },
                reason: row.text(4) ?? "", by: row.text(5) ?? "",
                since: Timestamp(milliseconds: Int64(row.int(6))))
            guard Self.checksum(of: ban) == row.int(7) else {
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
        self.bind(ban.subject, to: self.replacement)
        self.replacement.bind(4, ban.until.map { Int($0.milliseconds) })
        self.replacement.bind(5, copying: ByteString(ban.reason))
        self.replacement.bind(6, copying: ByteString(ban.operatorName))
        self.replacement.bind(7, Int(ban.since.milliseconds))
        self.replacement.bind(8, Self.checksum(of: ban))
        try self.replacement.run()
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
        let conversation = subject.conversation ?? ""
        statement.bind(1, copying: subject.tenant)
        statement.bind(2, copying: subject.user)
        statement.bind(3, copying: conversation)
    }

    private static func checksum(of ban: Ban) -> Int {
        var sum = RowChecksum()
        let texts = [
            ban.subject.tenant, ban.subject.user, ban.subject.conversation ?? "",
            ByteString(ban.reason), ByteString(ban.operatorName),
        ]
        for text in texts { text.withBytes { sum.fold(UnsafeRawBufferPointer($0)) } }
        sum.fold(ban.until.map { Int($0.milliseconds) })
        sum.fold(Int(ban.since.milliseconds))
        return sum.value
    }
}
