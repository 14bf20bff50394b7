import Foundation
import Testing

@Suite("The Rooms fuzzer's corpus")
struct RoomsCorpusTests {
    @Test("violates no property")
    func replay() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../Fuzz/corpus/rooms")
        let files = try FileManager.default.contentsOfDirectory(
            at: folder, includingPropertiesForKeys: nil)
        let asking = try files.filter { RoomsProperty.check([UInt8](try Data(contentsOf: $0))) }
        #expect(!asking.isEmpty && asking.count < files.count)
    }
}
