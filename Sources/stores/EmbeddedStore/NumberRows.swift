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

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        let columns = "SELECT tenant, user, number, checksum FROM numbers WHERE tenant = ?"
        self.byUser = try connection.prepare("\(columns) AND user = ?")
        self.byNumber = try connection.prepare("\(columns) AND number = ?")
        self.highest = try connection.prepare("\(columns) ORDER BY number DESC LIMIT 1")
        self.counter = try connection.prepare(
            "SELECT tenant, value, checksum FROM counters WHERE tenant = ?")
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
            self.highest.bind(1, copying: tenant)
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
            self.byNumber.bind(1, copying: tenant)
            self.byNumber.bind(2, number)
            users.append(try self.row(self.byNumber, in: tenant)?.user)
        }
        return .users(users)
    }

    /// Increments the tenant's counter.
    func incrementCounter(in tenant: ByteString) throws(StorageFault) -> Int {
        self.counter.bind(1, copying: tenant)
        var value = 0
        do {
            defer { self.counter.reset() }
            if try self.counter.next() {
                var row = RowReader(self.counter)
                let found = row.text()
                value = row.number()
                guard found == tenant, row.isIntact else {
                    throw .damaged("the counter of tenant \(tenant) is not what was stored")
                }
            }
        }
        var row = RowWriter(self.replacement)
        row.append(tenant)
        row.append(value + 1)
        try row.run()
        return value + 1
    }

    private func number(of user: UserID, in tenant: ByteString) throws(StorageFault) -> Int? {
        self.byUser.bind(1, copying: tenant)
        self.byUser.bind(2, copying: user.storageKey)
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
        var row = RowReader(statement)
        let found = row.text()
        let user = UserID(storageKey: row.text() ?? "")
        let number = row.number()
        guard found == tenant, row.isIntact else {
            throw .damaged("the number of user \(user) of tenant \(tenant) is not what was stored")
        }
        return (user, number)
    }

    private func insert(_ user: UserID, _ number: Int, in tenant: ByteString) throws(StorageFault) {
        var row = RowWriter(self.insertion)
        row.append(tenant)
        row.append(user.storageKey)
        row.append(number)
        try row.run()
    }
}
