import Bytes
import ChatModel

/// The table `members`.
struct MemberRows {
    private static let columns = TableColumns(
        ["conversation"], Member.blank, ["checksum"])
    private let all: SQLiteStatement
    private let one: SQLiteStatement
    private let replacement: SQLiteStatement
    private let deletion: SQLiteStatement

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        let selection = "SELECT \(Self.columns.list) FROM members WHERE conversation = ?"
        self.all = try connection.prepare("\(selection) ORDER BY user")
        self.one = try connection.prepare("\(selection) AND user = ?")
        // Not REPLACE: it would delete and insert the row in every index each time a cursor moves.
        self.replacement = try connection.prepare(
            """
            INSERT INTO members \(Self.columns.values)
            ON CONFLICT DO UPDATE SET \(Self.columns.assignments(keyCount: 2))
            """)
        self.deletion = try connection.prepare(
            "DELETE FROM members WHERE conversation = ? AND user = ?")
    }

    /// All members, in the order of their ids.
    func members(of conversation: Int) throws(StorageFault) -> [Member] {
        self.all.bind(1, conversation)
        defer { self.all.reset() }
        var members: [Member] = []
        while try self.all.next() { members.append(try self.member(self.all, of: conversation)) }
        return members
    }

    func member(_ user: UserID, of conversation: Int) throws(StorageFault) -> Member? {
        self.one.bind(1, conversation)
        self.one.bind(2, copying: user.storageKey)
        defer { self.one.reset() }
        guard try self.one.next() else { return nil }
        return try self.member(self.one, of: conversation)
    }

    /// Inserts or replaces a member's row.
    func put(_ member: Member, of conversation: Int) throws(StorageFault) {
        var row = RowWriter(self.replacement)
        row.append(conversation)
        member.readFields(&row)
        try row.run()
    }

    func delete(_ user: UserID, of conversation: Int) throws(StorageFault) {
        self.deletion.bind(1, conversation)
        self.deletion.bind(2, copying: user.storageKey)
        try self.deletion.run()
    }

    private func member(_ statement: SQLiteStatement, of conversation: Int) throws(StorageFault)
        -> Member
    {
        var row = RowReader(statement)
        guard row.number() == conversation, let member: Member = row.record(), row.isIntact else {
            throw .damaged("a member of conversation \(conversation) is not what was stored")
        }
        return member
    }
}
