import Foundation
import Testing

@Suite("The parcel fuzzer's corpus")
struct PacketCorpusTests {
    @Test("breaks no rule")
    func replay() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../Fuzz/corpus/parcel")
        let files = try FileManager.default.contentsOfDirectory(
            at: folder, includingPropertiesForKeys: nil)
        let accepted = try files.filter { PacketProperty.check([UInt8](try Data(contentsOf: $0))) }
        #expect(!accepted.isEmpty && accepted.count < files.count)
    }
}
