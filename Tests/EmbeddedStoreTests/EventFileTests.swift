import ChatModel
import EmbeddedStore
import TestKit
import Testing

@Suite("The event file")
struct EventFileTests {
    @Test("keeps the newest events, in order, over restarts")
    func bound() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("confab.db.events")
        let count = EventFile.entryLimit + 5
        do {
            let file = try EventFile(path: path)
            for number in 1...count {
                try file.append(.init(id: "\(number)-0", text: "{\"event\":\"e\(number)\"}"))
            }
        }
        let entries = try EventFile(path: path).entries()
        #expect(entries.count == EventFile.entryLimit)
        #expect(entries.first?.id == "6-0" && entries.last?.id == "\(count)-0")
        #expect(entries.last?.text == "{\"event\":\"e\(count)\"}")
    }

    @Test("names a file that it cannot open")
    func failure() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("this is no database, but a text of some length", to: "events")
        do {
            _ = try EventFile(path: path)
            Issue.record("a text was opened as a database")
        } catch {
            #expect(error.description.hasPrefix("\(path): "), "\(error)")
        }
    }
}
