import TestKit
import Testing

@testable import EmbeddedStore

/// The steps of the tests are others than those of `Schema`.
@Suite("A SQLite file with an older layout")
struct MigrationTests {
    private static let first = "CREATE TABLE pets (name TEXT); INSERT INTO pets VALUES ('rex')"
    private static let second = """
        ALTER TABLE pets ADD COLUMN legs INTEGER NOT NULL DEFAULT 4;
        INSERT INTO pets VALUES ('tweety', 2)
        """

    private let folder: TemporaryFolder
    private let connection: SQLiteConnection

    init() throws {
        self.folder = try TemporaryFolder()
        self.connection = try SQLiteConnection(
            path: "\(self.folder.path)/confab.db", access: .readWrite)
        try Schema.migrate(self.connection, from: 0, by: [Self.first])
    }

    private func version() throws -> Int? { try self.connection.number("PRAGMA user_version") }

    @Test("runs the steps that it lacks, keeps its data, and has the new version")
    func migration() throws {
        #expect(try self.version() == 1)
        #expect(try self.connection.number("PRAGMA application_id") == Schema.applicationID)
        let third = "UPDATE pets SET legs = legs + 1"
        try Schema.migrate(self.connection, from: 1, by: [Self.first, Self.second, third])
        #expect(try self.version() == 3)
        #expect(try self.connection.number("SELECT sum(legs) FROM pets") == 8)
        // There is nothing left to do.
        try Schema.migrate(self.connection, from: 3, by: [Self.first, Self.second, third])
        #expect(try self.connection.number("SELECT sum(legs) FROM pets") == 8)
    }

    @Test("has the version before a step that fails, and nothing of that step")
    func failure() throws {
        let broken = "INSERT INTO pets VALUES ('kim', 4); INSERT INTO nowhere VALUES (1)"
        #expect(throws: SQLiteFailure.self) {
            try Schema.migrate(self.connection, from: 1, by: [Self.first, Self.second, broken])
        }
        #expect(try self.version() == 2)
        #expect(try self.connection.number("SELECT count(*) FROM pets") == 2)
    }
}
