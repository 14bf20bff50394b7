import Foundation
import Testing

@Suite("The Pets fuzzer's corpus")
struct PetsCorpusTests {
    @Test("violates no property")
    func replay() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../Fuzz/corpus/pets")
        let files = try FileManager.default.contentsOfDirectory(
            at: folder, includingPropertiesForKeys: nil)
        let asking = try files.filter { PetsProperty.check([UInt8](try Data(contentsOf: $0))) }
        #expect(!asking.isEmpty && asking.count < files.count)
    }
}
