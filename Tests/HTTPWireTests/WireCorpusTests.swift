import Foundation
import Testing

@Suite("The wire fuzzers' corpus")
struct WireCorpusTests {
    @Test("violates no property", arguments: ["http", "websocket", "inflate"])
    func replay(_ target: String) throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../Fuzz/corpus/\(target)")
        let files = try FileManager.default.contentsOfDirectory(
            at: folder, includingPropertiesForKeys: nil)
        let accepted = try files.filter {
            let bytes = [UInt8](try Data(contentsOf: $0))
            return switch target {
            case "http": WireProperty.checkHTTP(bytes)
            case "websocket": WireProperty.checkWebSocket(bytes)
            default: WireProperty.checkInflate(bytes)
            }
        }
        #expect(!accepted.isEmpty && accepted.count < files.count)
    }
}
