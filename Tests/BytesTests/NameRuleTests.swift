import Bytes
import Testing

@Suite("A name of a user or a title")
struct NameRuleTests {
    @Test(
        "is any visible text",
        arguments: [
            "a", "Ann of the hill", "Ünïcödé", "محمد", "דוד", "山田", "👩‍👩‍👧‍👦", "می‌خواهم", "🏳️‍🌈",
            "x\u{200B}",
            " a ", "#", "1",
        ])
    func allowed(name: String) { #expect(NameRule.allows(name, limit: 128)) }

    @Test(
        "is neither invisible, nor changes how the text around it reads",
        arguments: [
            "", " ", "\u{3164}", "\u{200B}", "\u{2800}", "\u{FEFF}\u{200D}", "\u{A0}\u{2003}",
            "\u{E0020}", "\u{115F}", "a\u{202E}b", "\u{2066}a\u{2069}", "a\u{200F}", "a\u{61C}",
            "a\nb", "\u{1B}[2Ja", "\u{2}dave", "a\u{9B}", "a\u{2028}",
        ])
    func refused(name: String) { #expect(!NameRule.allows(name, limit: 128)) }

    @Test("of an existing user may be any without control characters")
    func existing() {
        for name in ["a", " ", "\u{3164}", "a\u{202E}b", "\u{200F}דוד"] {
            #expect(NameRule.allowsExisting(name, limit: 128), "\(name)")
        }
        for name in ["", "a\nb", "\u{2}dave", "a\u{9B}", String(repeating: "ä", count: 129)] {
            #expect(!NameRule.allowsExisting(name, limit: 128), "\(name)")
        }
    }

    @Test("has a limit in characters of Unicode")
    func limit() {
        #expect(NameRule.allows(String(repeating: "ä", count: 4), limit: 4))
        #expect(!NameRule.allows(String(repeating: "ä", count: 5), limit: 4))
    }
}
