import Dialects
import Foundation
import TestKit
import Testing

@Suite("The modules below the dialects")
struct DialectIndependenceTests {
    private static let folders = [
        "net/EngineIO", "chat", "stores", "protocols/DialectKit", "node/NodeLink", "node/Gateway",
    ]

    /// It has the name of a key in Redis.
    private static let exception = "Sources/stores/RedisStore/StoreKeys.swift"

    @Test("and the gateway contain no name, path or frame of a dialect", arguments: folders)
    func dialectsAreUnknown(folder: String) throws {
        let words =
            DialectList.all.names.map { "\"\($0)\"" } + ["socket.io", "42[", "import SocketIO"]
        let folder = "Sources/\(folder)"
        let files = try FileManager.default.subpathsOfDirectory(atPath: Checkout.file(folder))
            .filter { $0.hasSuffix(".swift") }.map { "\(folder)/\($0)" }
        #expect(!files.isEmpty)
        for file in files where file != Self.exception {
            let text = try Checkout.read(file)
            for word in words { #expect(!text.contains(word), "\(file) contains \(word)") }
        }
    }
}
