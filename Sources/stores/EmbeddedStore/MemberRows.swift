import Bytes
import ChatModel

/// The table `members`.
struct MemberRows {
    private static let columns =
        "user, name, agent, role, joined_at, read_cursor, delivered_cursor, checksum"
    private let all: SQLiteStatement
    private let one: SQLiteStatement
    private let replacement: SQLiteStatement
    private let deletion: SQLiteStatement
    private let text = RowTextBuffer()

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        self.all = try connection.prepare(
            "SELECT \(Self.columns) FROM members WHERE conversation = ? ORDER BY user")
        self.one = try connection.prepare(
            "SELECT \(Self.columns) FROM members WHERE conversation = ? AND user = ?")
        // Not REPLACE: it would delete and insert the row in every index each time a cursor moves.
        self.replacement = try connection.prepare(
            """
            INSERT INTO members VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
            ON CONFLICT DO UPDATE SET name = ?3, agent = ?4, role = ?5, joined_at = ?6,
                read_cursor = ?7, delivered_cursor = ?8, checksum = ?9
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
        self.text.begin(byteCount: user.storageKey.byteCount)
        self.one.bind(1, conversation)
        self.one.bind(2, text: self.text.copy(user.storageKey.string))
        defer { self.one.reset() }
        guard try self.one.next() else { return nil }
        return try self.member(self.one, of: conversation)
    }

    /// Inserts or replaces a member's row.
    func put(_ member: Member, of conversation: Int) throws(StorageFault) {
        let statement = self.replacement
        let sum = self.checksum(of: member, in: conversation)
        self.text.begin(byteCount: Self.byteCount(of: member))
        statement.bind(1, conversation)
        statement.bind(2, text: self.text.copy(member.user.storageKey.string))
        statement.bind(3, text: self.text.copy(member.name.string))
        statement.bind(4, text: member.agent.map { self.text.copy($0.string) })
        statement.bind(5, Self.role(of: member))
        statement.bind(6, Int(member.joinedAt.milliseconds))
        statement.bind(7, member.readCursor)
        statement.bind(8, member.deliveredCursor)
        statement.bind(9, sum)
        try statement.run()
    }

    func delete(_ user: UserID, of conversation: Int) throws(StorageFault) {
        let statement = self.deletion
        self.text.begin(byteCount: user.storageKey.byteCount)
        statement.bind(1, conversation)
        statement.bind(2, text: self.text.copy(user.storageKey.string))
        try statement.run()
    }

    private func member(_ row: SQLiteStatement, of conversation: Int) throws(StorageFault) -> Member
    {
        var member = Member(
            user: UserID(storageKey: ByteString(row.text(0) ?? "")),
            name: ByteString(row.text(1) ?? ""),
            agent: row.text(2).map { ByteString($0) },
            role: Member.Role(rawValue: UInt8(truncatingIfNeeded: row.int(3) & Self.roleMask))
                ?? .member,
            joinedAt: Timestamp(milliseconds: Int64(row.int(4))),
            readCursor: row.int(5), deliveredCursor: row.int(6))
        member.isNameGiven = row.int(3) & Self.givenName != 0
        guard self.checksum(of: member, in: conversation) == row.int(7) else {
            throw .damaged("a member of conversation \(conversation) is not what was stored")
        }
        return member
    }

    /// The bits of the column `role` that are a `Member.Role`.
    private static let roleMask = 63
    /// The bit of the column `role` that says that another user gave the name.
    private static let givenName = 64

    private static func role(of member: Member) -> Int {
        Int(member.role.rawValue) | (member.isNameGiven ? self.givenName : 0)
    }

    private static func byteCount(of member: Member) -> Int {
        member.user.storageKey.byteCount + member.name.byteCount + (member.agent?.byteCount ?? 0)
    }

    private func checksum(of member: Member, in conversation: Int) -> Int {
        self.text.begin(byteCount: Self.byteCount(of: member))
        var sum = RowChecksum()
        sum.fold(conversation)
        sum.fold(self.text.copy(member.user.storageKey.string))
        sum.fold(self.text.copy(member.name.string))
        sum.fold(member.agent.map { self.text.copy($0.string) })
        sum.fold(Self.role(of: member))
        sum.fold(Int(member.joinedAt.milliseconds))
        sum.fold(member.readCursor)
        sum.fold(member.deliveredCursor)
        return sum.value
    }
}
