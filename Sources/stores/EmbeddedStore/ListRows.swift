import Bytes
import ChatModel

/// The queries for lists. They return only names; each named conversation is read from its own row,
/// which has a checksum.
struct ListRows {
    private let memberships: SQLiteStatement
    private let newest: SQLiteStatement
    private let below: SQLiteStatement

    /// Also those that a former member has left, if the conversation remembers it (`Member.Role`).
    /// The index has no roles; the reader checks the member, which it reads anyway.
    static let membershipsOfUser = """
        SELECT conversations.id, conversations.name FROM members
        CROSS JOIN conversations ON conversations.id = members.conversation
        WHERE members.user = ? AND members.conversation > ? AND conversations.tenant = ?
        ORDER BY members.conversation LIMIT ?
        """
    /// This condition repeats that of the partial index; otherwise SQLite does not use the index.
    private static let catalog =
        "SELECT created_at, name FROM conversations "
        + "WHERE listed AND ended_at IS NULL AND tenant = ?"
    static let newestOfCatalog = "\(catalog) ORDER BY created_at DESC, name DESC LIMIT ?"
    static let catalogBelow =
        "\(catalog) AND (created_at, name) < (?, ?) ORDER BY created_at DESC, name DESC LIMIT ?"

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        self.memberships = try connection.prepare(Self.membershipsOfUser)
        self.newest = try connection.prepare(Self.newestOfCatalog)
        self.below = try connection.prepare(Self.catalogBelow)
    }

    /// A user's conversations in a tenant after a row id, in ascending order of row ids.
    func memberships(
        of user: UserID, in tenant: ByteString, after id: Int, limit: Int
    ) throws(StorageFault) -> [(id: Int, name: ByteString)] {
        let row = self.memberships
        row.bind(1, copying: user.storageKey)
        row.bind(2, id)
        row.bind(3, copying: tenant)
        row.bind(4, limit)
        defer { row.reset() }
        var rows: [(id: Int, name: ByteString)] = []
        while try row.next() { rows.append((row.int(0), ByteString(row.text(1) ?? ""))) }
        return rows
    }

    /// A tenant's catalog after a cursor, newest first.
    func catalog(of tenant: ByteString, after cursor: PageCursor?, limit: Int) throws(StorageFault)
        -> [PageCursor]
    {
        let row = cursor == nil ? self.newest : self.below
        row.bind(1, copying: tenant)
        if let cursor {
            row.bind(2, Int(cursor.time.milliseconds))
            row.bind(3, copying: cursor.id)
        }
        row.bind(cursor == nil ? 2 : 4, limit)
        defer { row.reset() }
        var rows: [PageCursor] = []
        while try row.next() {
            rows.append(
                PageCursor(
                    time: Timestamp(milliseconds: Int64(row.int(0))),
                    id: ByteString(row.text(1) ?? "")))
        }
        return rows
    }
}
