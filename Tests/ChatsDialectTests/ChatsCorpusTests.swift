import Foundation
import Testing

@Suite("The Chats fuzzer's corpus")
struct ChatsCorpusTests {
    @Test("violates no property")
    func replay() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../Fuzz/corpus/chats")
        let files = try FileManager.default.contentsOfDirectory(
            at: folder, includingPropertiesForKeys: nil)
        let asking = try files.filter { ChatsProperty.check([UInt8](try Data(contentsOf: $0))) }
        #expect(!asking.isEmpty && asking.count < files.count)
    }
}
