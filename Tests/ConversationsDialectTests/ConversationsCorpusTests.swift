import Foundation
import Testing

@Suite("The Conversations fuzzer's corpus")
struct ConversationsCorpusTests {
    @Test("violates no property")
    func replay() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../Fuzz/corpus/conversations")
        let files = try FileManager.default.contentsOfDirectory(
            at: folder, includingPropertiesForKeys: nil)
        let asking = try files.filter {
            ConversationsProperty.check([UInt8](try Data(contentsOf: $0)))
        }
        #expect(!asking.isEmpty && asking.count < files.count)
    }
}
