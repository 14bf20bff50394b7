import Foundation
import Testing

@Suite("The token fuzzer's corpus")
struct TokenCorpusTests {
    @Test("violates no property")
    func replay() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../Fuzz/corpus/jwt")
        let files = try FileManager.default.contentsOfDirectory(
            at: folder, includingPropertiesForKeys: nil)
        let accepted = try files.filter { TokenProperty.check([UInt8](try Data(contentsOf: $0))) }
        #expect(!accepted.isEmpty && accepted.count < files.count)
    }
}
