import ChatModel
import Testing

@Suite("A search")
struct SearchQueryTests {
    private struct SearchExample: Sendable {
        let query: String
        let content: String
        let matches: Bool

        init(_ query: String, in content: String, _ matches: Bool = true) {
            (self.query, self.content, self.matches) = (query, content, matches)
        }
    }

    @Test(
        "finds texts with all words, the last one as the beginning of a word",
        arguments: [
            SearchExample("dog", in: "The dog barks."), SearchExample("do", in: "The dog barks."),
            SearchExample("barks dog", in: "The dog barks."),
            SearchExample("dog ba", in: "The dog barks."),
            SearchExample("do bark", in: "The dog barks.", false),
            SearchExample("og", in: "The dog barks.", false),
            SearchExample("dog cat", in: "The dog", false),
            SearchExample("dog", in: "", false), SearchExample("don't", in: "I DON’T know"),
            SearchExample("user@host", in: "mail to user (at) host, or user@host"),
            SearchExample("3.14", in: "pi is 3.14159"),
        ])
    private func words(_ example: SearchExample) throws {
        let query = try #require(SearchQuery(example.query))
        #expect(query.matches(example.content) == example.matches)
    }

    @Test(
        "ignores case and accents",
        arguments: [
            SearchExample("CAFE", in: "Im Café"), SearchExample("café", in: "cafe au lait"),
            SearchExample("cafe\u{301}", in: "CAFÉ"), SearchExample("ångström", in: "Angstrom"),
            SearchExample("ĠĦ", in: "ġħ"), SearchExample("ΣΊΣΥΦΟΣ", in: "σίσυφοσ"),
            SearchExample("привЕт", in: "Привет"), SearchExample("naïve", in: "NAIVE"),
            SearchExample("tiếng việt", in: "Tieng Viet"),
            SearchExample("İstanbul", in: "i̇stanbul"),
        ])
    private func folding(_ example: SearchExample) throws {
        #expect(try #require(SearchQuery(example.query)).matches(example.content))
    }

    @Test(
        "takes each character of a script without spaces as a word",
        arguments: [
            SearchExample("日本", in: "今日は日本語を話す"), SearchExample("本日", in: "今日は日本語"),
            SearchExample("犬", in: "今日は日本語", false), SearchExample("ねこ", in: "ねこがいる"),
            SearchExample("สวัสดี", in: "พูดว่าสวัสดีครับ"), SearchExample("hello世", in: "hello世界"),
            SearchExample("hello", in: "hello世界"), SearchExample("カタ", in: "カタカナ"),
        ])
    private func withoutSpaces(_ example: SearchExample) throws {
        #expect(
            try #require(SearchQuery(example.query)).matches(example.content) == example.matches)
    }

    @Test("has no operators", arguments: ["a OR b", "\"a b\"", "a*b", "NEAR(a, b)", "a -b", "a:b"])
    func operators(_ text: String) throws {
        let query = try #require(SearchQuery(text))
        #expect(query.words.allSatisfy { $0.allSatisfy { $0.isLetter } })
        #expect(query.matches(text))
    }

    @Test("needs a word", arguments: ["", " ", "*", "\"\"", "👍", "\u{301}", "-- ()"])
    func noWords(_ text: String) {
        #expect(SearchQuery(text) == nil)
    }
}
