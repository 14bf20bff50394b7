import ChatModel
import Testing

@Suite("A search")
struct SearchQueryTests {
    private struct Example: Sendable {
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
            Example("dog", in: "The dog barks."), Example("do", in: "The dog barks."),
            Example("barks dog", in: "The dog barks."), Example("dog ba", in: "The dog barks."),
            Example("do bark", in: "The dog barks.", false),
            Example("og", in: "The dog barks.", false), Example("dog cat", in: "The dog", false),
            Example("dog", in: "", false), Example("don't", in: "I DON’T know"),
            Example("user@host", in: "mail to user (at) host, or user@host"),
            Example("3.14", in: "pi is 3.14159"),
        ])
    private func words(_ example: Example) throws {
        let query = try #require(SearchQuery(example.query))
        #expect(query.matches(example.content) == example.matches)
    }

    @Test(
        "ignores case and accents",
        arguments: [
            Example("CAFE", in: "Im Café"), Example("café", in: "cafe au lait"),
            Example("cafe\u{301}", in: "CAFÉ"), Example("ångström", in: "Angstrom"),
            Example("ĠĦ", in: "ġħ"), Example("ΣΊΣΥΦΟΣ", in: "σίσυφοσ"),
            Example("привЕт", in: "Привет"), Example("naïve", in: "NAIVE"),
            Example("tiếng việt", in: "Tieng Viet"), Example("İstanbul", in: "i̇stanbul"),
        ])
    private func folding(_ example: Example) throws {
        #expect(try #require(SearchQuery(example.query)).matches(example.content))
    }

    @Test(
        "takes each character of a script without spaces as a word",
        arguments: [
            Example("日本", in: "今日は日本語を話す"), Example("本日", in: "今日は日本語"),
            Example("犬", in: "今日は日本語", false), Example("ねこ", in: "ねこがいる"),
            Example("สวัสดี", in: "พูดว่าสวัสดีครับ"), Example("hello世", in: "hello世界"),
            Example("hello", in: "hello世界"), Example("カタ", in: "カタカナ"),
        ])
    private func withoutSpaces(_ example: Example) throws {
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
