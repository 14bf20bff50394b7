import ChatModel
import EmbeddedStore
import Foundation
import TestKit
import Testing

@Suite("The files of a SQLite store")
struct PrivateFileTests {
    private func mode(_ path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return try #require(attributes[.posixPermissions] as? Int)
    }

    @Test("are readable only by their owner, whatever the umask, and existing ones become so")
    func modes() throws {
        let folder = try TemporaryFolder()
        let database = folder.file("confab.db")
        let events = folder.file("confab.db.events")
        for round in 1...2 {
            let store = try SQLiteStore(path: database, history: 10)
            let log = try EventFile(path: events)
            try log.append(.init(id: "\(round)-0", text: "{}"))
            for path in [database, "\(database)-wal", "\(database)-shm", events] {
                #expect(try self.mode(path) == 0o600, "\(path) in round \(round)")
            }
            store.close()
            for path in [database, events] {
                try FileManager.default.setAttributes(
                    [.posixPermissions: 0o644], ofItemAtPath: path)
            }
        }
    }

    @Test("of another program stay as they are")
    func foreignFile() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("a text of some length, and no database", to: "notes")
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
        #expect(throws: StoreFailure.self) { _ = try SQLiteStore(path: path, history: 10) }
        #expect(try self.mode(path) == 0o644)
    }
}
