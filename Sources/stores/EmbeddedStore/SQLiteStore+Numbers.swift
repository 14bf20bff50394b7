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
            try self.readRows("SELECT tenant, user, number, checksum FROM numbers") { row in
                let tenant = row.text() ?? ""
                let user = UserID(storageKey: row.text() ?? "")
                lists[tenant, default: TenantNumberList(tenant: tenant)].users.append(
                    (user, row.number()))
                return tenant
            }
            try self.readRows("SELECT tenant, value, checksum FROM counters") { row in
                let tenant = row.text() ?? ""
                lists[tenant, default: TenantNumberList(tenant: tenant)].counter = row.number()
                return tenant
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

    /// - Parameter read: reads all values of a row except its checksum, and returns the tenant.
    private func readRows(_ query: String, _ read: (inout RowReader) -> ByteString)
        throws(StorageFault)
    {
        let statement: SQLiteStatement
        do {
            statement = try SQLiteConnection(path: self.path, access: .readOnly).prepare(query)
        } catch {
            throw StorageFault(error)
        }
        while try statement.next() {
            var row = RowReader(statement)
            let tenant = read(&row)
            guard row.isIntact else {
                throw .damaged("a number of tenant \(tenant) is not what was stored")
            }
        }
    }
}
