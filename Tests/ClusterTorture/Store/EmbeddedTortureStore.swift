import TestKit

/// The database of a single node, which only faults of the node affect.
final class EmbeddedTortureStore: TortureStore {
    private let folder: TemporaryFolder

    init() throws { self.folder = try TemporaryFolder() }

    var title: String { "SQLite" }
    var endpoint: StoreEndpoint {
        StoreEndpoint(url: "sqlite:\(self.folder.file("confab.db"))", ports: [])
    }
    var servers: [RedisServer] { [] }

    func master(_ choice: UInt64) throws -> RedisServer {
        throw TestFailure("a database has no server")
    }

    func perform(_ fault: StoreFault, _ hooks: FaultHooks) throws {
        throw TestFailure("a database does not support this fault")
    }

    func awaitHealthy() {}
}
