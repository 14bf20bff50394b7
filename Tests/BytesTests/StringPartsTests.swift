import Bytes
import Testing

@Suite("Parts of a text")
struct StringPartsTests {
    @Test(
        "are those of the standard library's split",
        arguments: ["", "HASH", "aHASHb", "HASHHASH", "HAHASHSH", "é HASH ü", "HAS", "a\u{301}"])
    func split(_ text: String) {
        #expect(
            text.parts(separatedBy: "HASH")
                == text.split(separator: "HASH", omittingEmptySubsequences: false))
        #expect(text.includes("HASH") == text.contains("HASH"))
    }
}
