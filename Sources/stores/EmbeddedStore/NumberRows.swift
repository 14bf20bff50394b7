import Bytes
import ChatModel

/// The tables `numbers` (the number of each user of a tenant) and `counters` (each tenant's
/// counter).
struct NumberRows {
    private let byUser: SQLiteStatement
    private let byNumber: SQLiteStatement
    private let highest: SQLiteStatement
    private let counter: SQLiteStatement
    private let insertion: SQLiteStatement
    private let replacement: SQLiteStatement
    private let text = RowTextBuffer()

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        let columns = "SELECT user, number, checksum FROM numbers WHERE tenant = ?"
        self.byUser = try connection.prepare("\(columns) AND user = ?")
        self.byNumber = try connection.prepare("\(columns) AND number = ?")
        self.highest = try connection.prepare("\(columns) ORDER BY number DESC LIMIT 1")
        self.counter = try connection.prepare(
            "SELECT value, checksum FROM counters WHERE tenant = ?")
        self.insertion = try connection.prepare("INSERT INTO numbers VALUES (?, ?, ?, ?)")
        self.replacement = try connection.prepare("REPLACE INTO counters VALUES (?, ?, ?)")
    }

    /// The numbers of users; assigns one to each user without a number.
    ///
    /// Everything is read before anything is written, so that a failure because of damage writes
    /// nothing.
    func numbers(of users: [UserID], in tenant: ByteString) throws(StorageFault) -> StoreAnswer {
        if let excess = StoreRequest.numbers(of: users, tenant: tenant).limitViolation {
            return .failed(excess)
        }
        var numbersByUser: [UserID: Int] = [:]
        var unnumbered: [UserID] = []
        for user in users where numbersByUser[user] == nil {
            let number = try self.number(of: user, in: tenant)
            numbersByUser[user] = number ?? 0
            if number == nil { unnumbered.append(user) }
        }
        if !unnumbered.isEmpty {
            self.text.begin(byteCount: tenant.byteCount)
            self.highest.bind(1, text: self.text.copy(tenant.string))
            var next =
                try self.row(self.highest, in: tenant).map { $0.number + 1 }
                ?? StoreRequest.firstUserNumber
            for user in unnumbered {
                try self.insert(user, next, in: tenant)
                numbersByUser[user] = next
                next += 1
            }
        }
        return .numbers(users.map { numbersByUser[$0] ?? 0 })
    }

    func users(numbered numbers: [Int], in tenant: ByteString) throws(StorageFault) -> StoreAnswer {
        if let excess = StoreRequest.users(numbered: numbers, tenant: tenant).limitViolation {
            return .failed(excess)
        }
        var users: [UserID?] = []
        users.reserveCapacity(numbers.count)
        for number in numbers {
            self.text.begin(byteCount: tenant.byteCount)
            self.byNumber.bind(1, text: self.text.copy(tenant.string))
            self.byNumber.bind(2, number)
            users.append(try self.row(self.byNumber, in: tenant)?.user)
        }
        return .users(users)
    }

    /// Increments the tenant's counter.
    func incrementCounter(in tenant: ByteString) throws(StorageFault) -> Int {
        self.text.begin(byteCount: tenant.byteCount)
        self.counter.bind(1, text: self.text.copy(tenant.string))
        var value = 0
        do {
            defer { self.counter.reset() }
            if try self.counter.next() {
                value = self.counter.int(0)
                guard Self.checksum(of: nil, value, in: tenant) == self.counter.int(1) else {
                    throw .damaged("the counter of tenant \(tenant) is not what was stored")
                }
            }
        }
        let sum = Self.checksum(of: nil, value + 1, in: tenant)
        self.text.begin(byteCount: tenant.byteCount)
        self.replacement.bind(1, text: self.text.copy(tenant.string))
        self.replacement.bind(2, value + 1)
        self.replacement.bind(3, sum)
        try self.replacement.run()
        return value + 1
    }

    private func number(of user: UserID, in tenant: ByteString) throws(StorageFault) -> Int? {
        self.text.begin(byteCount: tenant.byteCount + user.storageKey.byteCount)
        self.byUser.bind(1, text: self.text.copy(tenant.string))
        self.byUser.bind(2, text: self.text.copy(user.storageKey.string))
        guard let row = try self.row(self.byUser, in: tenant) else { return nil }
        // In a damaged file, the search may end at another user's row.
        guard row.user == user else {
            throw .damaged("the number of user \(user) of tenant \(tenant) is not what was stored")
        }
        return row.number
    }

    private func row(_ statement: SQLiteStatement, in tenant: ByteString) throws(StorageFault) -> (
        user: UserID, number: Int
    )? {
        defer { statement.reset() }
        guard try statement.next() else { return nil }
        let user = UserID(storageKey: ByteString(statement.text(0) ?? ""))
        guard Self.checksum(of: user, statement.int(1), in: tenant) == statement.int(2) else {
            throw .damaged("the number of user \(user) of tenant \(tenant) is not what was stored")
        }
        return (user, statement.int(1))
    }

    private func insert(_ user: UserID, _ number: Int, in tenant: ByteString) throws(StorageFault) {
        let sum = Self.checksum(of: user, number, in: tenant)
        self.text.begin(byteCount: tenant.byteCount + user.storageKey.byteCount)
        self.insertion.bind(1, text: self.text.copy(tenant.string))
        self.insertion.bind(2, text: self.text.copy(user.storageKey.string))
        self.insertion.bind(3, number)
        self.insertion.bind(4, sum)
        try self.insertion.run()
    }

    /// - Parameter user: nil for the tenant's counter.
    static func checksum(of user: UserID?, _ number: Int, in tenant: ByteString) -> Int {
        var sum = RowChecksum()
        tenant.withBytes { sum.fold(UnsafeRawBufferPointer($0)) }
        user?.storageKey.withBytes { sum.fold(UnsafeRawBufferPointer($0)) }
        sum.fold(number)
        return sum.value
    }
}
