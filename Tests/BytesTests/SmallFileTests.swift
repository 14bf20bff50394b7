import Bytes
import Foundation
import Testing

@Suite("Small files")
struct SmallFileTests {
    @Test(
        "are secrets without one newline at the end",
        arguments: [
            ("", ""), ("\n", ""), ("\r\n", ""), ("key", "key"), ("key\n", "key"),
            ("key\r\n", "key"), ("key\n\n", "key\n"), ("key\r", "key\r"), ("key ", "key "),
            ("\nkey", "\nkey"),
        ])
    func secret(content: String, expected: String) throws {
        let path = FileManager.default.temporaryDirectory.path + "/confab-\(UUID().uuidString)"
        try Data(content.utf8).write(to: URL(filePath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        #expect(try SmallFile.readSecret(path) == Array(expected.utf8))
        #expect(try SmallFile.read(path) == Array(content.utf8))
    }

    @Test("are rejected if they are missing, a folder or too long")
    func rejected() {
        #expect(throws: SmallFile.ReadError.system("No such file or directory")) {
            try SmallFile.read("/nonexistent")
        }
        #expect(throws: SmallFile.ReadError.system("Is a directory")) { try SmallFile.read("/") }
        #expect(throws: SmallFile.ReadError.tooLong) { try SmallFile.read("/dev/zero") }
    }
}
