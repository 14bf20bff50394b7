import Foundation
import Testing

@Suite("The JSON fuzzer's corpus")
struct JSONCorpusTests {
    @Test("violates no property")
    func replay() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../Fuzz/corpus/json")
        let files = try FileManager.default.contentsOfDirectory(
            at: folder, includingPropertiesForKeys: nil)
        let accepted = try files.filter { JSONProperty.check([UInt8](try Data(contentsOf: $0))) }
        #expect(!accepted.isEmpty && accepted.count < files.count)
    }
}
