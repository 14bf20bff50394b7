public import Bytes
public import ChatModel

/// The numbers of a tenant's users, and its counter.
public struct TenantNumberList: Sendable {
    public let tenant: ByteString
    /// In ascending order of the numbers.
    public fileprivate(set) var users: [(user: UserID, number: Int)] = []
    /// The last number that `StoreRequest.nextNumber` returned; 0 if there was none.
    public fileprivate(set) var counter = 0
}

extension SQLiteStore {
    /// Reads the numbers of all tenants, on a connection of its own. The port has no such request,
    /// because nodes look up single users.
    public func tenantNumbers() throws(StoreFailure) -> [TenantNumberList] {
        do throws(StorageFault) {
            var lists: [ByteString: TenantNumberList] = [:]
            for row in try self.rows("SELECT tenant, user, number, checksum FROM numbers") {
                let user = UserID(storageKey: ByteString(row.user))
                try Self.check(row, of: user)
                lists[row.tenant, default: TenantNumberList(tenant: row.tenant)].users.append(
                    (user, row.number))
            }
            for row in try self.rows("SELECT tenant, '', value, checksum FROM counters") {
                try Self.check(row, of: nil)
                lists[row.tenant, default: TenantNumberList(tenant: row.tenant)].counter =
                    row.number
            }
            return lists.values.map { list in
                var list = list
                list.users.sort { $0.number < $1.number }
                return list
            }.sorted { $0.tenant < $1.tenant }
        } catch {
            throw error.storeFailure(path: self.path)
        }
    }

    private typealias NumberRow = (tenant: ByteString, user: String, number: Int, checksum: Int)

    private func rows(_ query: String) throws(StorageFault) -> [NumberRow] {
        let statement: SQLiteStatement
        do {
            statement = try SQLiteConnection(path: self.path, access: .readOnly).prepare(query)
        } catch {
            throw StorageFault(error)
        }
        var rows: [NumberRow] = []
        while try statement.next() {
            rows.append(
                (
                    ByteString(statement.text(0) ?? ""), statement.text(1) ?? "", statement.int(2),
                    statement.int(3)
                ))
        }
        return rows
    }

    private static func check(_ row: NumberRow, of user: UserID?) throws(StorageFault) {
        guard NumberRows.checksum(of: user, row.number, in: row.tenant) == row.checksum else {
            throw .damaged("a number of tenant \(row.tenant) is not what was stored")
        }
    }
}
