import Foundation
import Testing

@Suite("The fuzzer's corpus of packets")
struct PacketCorpusTests {
    @Test("violates no property")
    func replay() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../Fuzz/corpus/packet")
        let files = try FileManager.default.contentsOfDirectory(
            at: folder, includingPropertiesForKeys: nil)
        let accepted = try files.filter { PacketProperty.check([UInt8](try Data(contentsOf: $0))) }
        #expect(!accepted.isEmpty && accepted.count < files.count)
    }
}
