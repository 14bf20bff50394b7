import Foundation
import TestKit
import TestTraits
import Testing

@testable import OperatorClient

@Suite("A tar archive", .programs, .ownThread)
struct TarArchiveTests {
    @Test("is unpacked by tar, with content, time and mode")
    func unpack() throws {
        var archive = TarArchive(modifiedAt: 1_700_000_000)
        let contents = [
            "a.txt": "", "b/c.json": "{}\n", "b/d.txt": String(repeating: "x", count: 512),
        ]
        for (name, text) in contents.sorted(by: { $0.key < $1.key }) {
            archive.add(name, Array(text.utf8))
        }
        let longName = "b/" + String(repeating: "n", count: TarArchive.nameBytes - 2)
        archive.add(longName, Array("long".utf8))
        let folder = try TemporaryFolder()
        try Data(archive.bytes).write(to: URL(fileURLWithPath: folder.file("x.tar")))
        let result = try run(Checkout.program("tar"), ["xf", "x.tar"], folder: folder.path)
        #expect(result.exitStatus == .exited(0) && result.errors == "", "\(result)")
        for (name, text) in contents { #expect(try folder.read(name) == text) }
        #expect(try folder.read(longName) == "long")
        let attributes = try FileManager.default.attributesOfItem(atPath: folder.file("b/c.json"))
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        #expect(
            (attributes[.modificationDate] as? Date)?.timeIntervalSince1970 == 1_700_000_000)
    }
}
