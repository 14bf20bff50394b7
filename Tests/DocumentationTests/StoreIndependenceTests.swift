import Configuration
import Foundation
import Stores
import TestKit
import Testing

@Suite("The modules outside of the stores")
struct StoreIndependenceTests {
    /// The list of stores, the stores, and `confab copy`, which copies from one kind to another.
    private static let stores = [
        "stores/", "program/Stores/", "tools/StoreCopy/", "node/Configuration/CopyOptions.swift",
    ]

    /// Files with a word that is not the kind of a store, or with one for `confab copy`.
    private static let exceptions = [
        // An error of the option `--redis`.
        "tools/LoadGenerator/Plan/BenchmarkError.swift": "case .redis",
        "program/confab/CopyCommand.swift": "import EmbeddedStore",
    ]

    @Test("compare no store's name, and open no store themselves")
    func kindsAreUnknown() throws {
        let names = StoreList.all.map(\.kind.name)
        #expect(names.count == 3)
        let words =
            names.flatMap {
                [
                    "== \"\($0)\"", "!= \"\($0)\"", "\"\($0):", "case .\($0)", "StoreKind.\($0)",
                    "== .\($0)", "!= .\($0)",
                ]
            } + ["import EmbeddedStore", "import RedisStore"]
        let files = try FileManager.default.subpathsOfDirectory(atPath: Checkout.file("Sources"))
            .filter { file in
                file.hasSuffix(".swift") && !Self.stores.contains { file.hasPrefix($0) }
            }
        #expect(files.count > 100)
        for file in files {
            // A link of the cluster's nodes is a connection to Redis.
            let ownWords = file.hasPrefix("node/NodeLink/") ? ["import RedisStore"] : []
            let text = try Checkout.read("Sources/\(file)").replacing("\\\"", with: "")
            for word in words where word != Self.exceptions[file] && !ownWords.contains(word) {
                #expect(!text.contains(word), "\(file) contains \(word)")
            }
        }
    }
}
