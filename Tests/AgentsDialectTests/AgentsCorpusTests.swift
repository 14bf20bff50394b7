import Foundation
import Testing

@Suite("The Agents fuzzer's corpus")
struct AgentsCorpusTests {
    @Test("violates no property")
    func replay() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../Fuzz/corpus/agents")
        let files = try FileManager.default.contentsOfDirectory(
            at: folder, includingPropertiesForKeys: nil)
        let asking = try files.filter { AgentsProperty.check([UInt8](try Data(contentsOf: $0))) }
        #expect(!asking.isEmpty && asking.count < files.count)
    }
}
