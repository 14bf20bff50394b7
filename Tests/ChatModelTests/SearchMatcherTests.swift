import ChatModel
import SeededRandom
@_spi(_Unicode) import Swift
import Testing

@Suite("The comparison of texts in a search")
struct SearchMatcherTests {
    /// Letters with and without accents, marks, scripts without spaces, Hangul as syllables and as
    /// letters, Indic vowel signs that join a letter, letters that join the next one, halfwidth
    /// marks that are letters, marks that normalization sorts, and separators.
    private static let pieces: [String] = [
        "a", "A", "b", "e", "é", "E\u{301}", "\u{301}", "\u{308}", "ä", "Ä", "ß", "ẞ", "i", "İ",
        "ı", "o", "1", "2", "²", "Ａ", "ｂ", "đ", "Ł", "æ", "ﬃ", "ㅋ", "ﷺ", "½", "™",
        "Ⅷ", "ǆ", "Ǆ", "ﬁ", "\u{20DD}", "ж", "Ж", "й", "Σ", "ς", "σ", "ΐ",
        "日", "本", "\u{F900}", "か", "が", "ｶ", "ﾞ", "ส", "วั", "က", "한", "하", "하\u{11AB}",
        "\u{1112}", "\u{1161}", "\u{11AB}", "क", "कि", "\u{93F}", "\u{958}", "\u{9CB}", "\u{9C7}",
        "\u{9BE}", "ক", "\u{D4E}", "\u{D15}", "\u{111C2}", "\u{1B44}", "\u{1B13}", "\u{302E}",
        "\u{1D165}", "\u{1D16D}", "\u{16FF0}", "א", "ع", "\u{64B}", "\u{670}", " ", ".", "-",
        "\u{200D}", "\u{200B}", "👍", "🇩🇪", "\u{0}", "\u{10}", "ab", "abc", "ae", "eb",
    ]

    private static func text(
        _ count: Int, of pieces: [String], _ random: inout SeededGenerator
    ) -> String {
        (0..<count).map { _ in pieces[random.next(below: pieces.count)] }.joined()
    }

    @Test("has the same result as its definition", arguments: [UInt64(1), 2, 3, 4])
    func definition(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var matches = 0
        for round in 0..<5000 {
            // Few pieces make many matches.
            let pieces =
                round % 3 == 0
                ? Self.pieces : (0..<6).map { _ in Self.pieces[random.next(below: 60)] } + [" "]
            let text = Self.text(random.next(below: 40), of: pieces, &random)
            let words = Self.text(1 + random.next(below: 6), of: pieces, &random)
            let query = SearchQuery(words)
            let reference = ReferenceSearch(words)
            #expect(query?.words == reference?.words, "\(words.debugDescription)")
            guard let query, let reference else { continue }
            let expected = reference.matches(text)
            matches += expected ? 1 : 0
            #expect(
                query.matches(text) == expected,
                "\(words.debugDescription) in \(text.debugDescription)")
        }
        #expect(matches > 100)
    }

    @Test(
        "finds what readers take for the same word",
        arguments: [
            ("da nang", "Đà Nẵng"), ("οδος", "ΟΔΟΣ"), ("ΟΔΟΣ", "οδος"), ("STRASSE", "Straße"),
            ("strasse", "STRAẞE"), ("straße", "Strasse"), ("lodz", "Łódź"), ("Łódź", "lodz"),
            ("abc 12", "ＡＢＣ　１２"), ("ＡＢＣ", "abc"), ("istanbul", "İSTANBUL"),
            ("isik", "Işık"), ("smorrebrod", "Smørrebrød"), ("aether", "Æther"),
            ("oeuvre", "Œuvre"), ("thor", "Þór"), ("office", "oﬀice"), ("office", "oﬃce"),
            ("m2", "12 m²"), ("hello", "𝐇𝐞𝐥𝐥𝐨"), ("カナ", "ｶﾅ"), ("ガス", "ｶﾞｽ"), ("ｶﾞｽ", "ガス"),
            ("ㅋㅋ", "ㅋㅋㅋ"), ("סלם", "סלם"),
        ])
    func sameWords(_ words: String, _ text: String) throws {
        #expect(try #require(SearchQuery(words)).matches(text))
    }

    @Test(
        "keeps words apart that readers do",
        arguments: [("นา", "นำ"), ("confabtm", "Confab™"), ("101", "10½"), ("c", "℃")])
    func differentWords(_ words: String, _ text: String) throws {
        #expect(!(try #require(SearchQuery(words)).matches(text)))
    }

    @Test("finds a word behind a text of any length", arguments: ["éa", "ea", "aé日", "e a", "x"])
    func lengths(_ word: String) throws {
        let query = try #require(SearchQuery(word))
        for filler in ["b ", "é ", "日", "b\u{301} ", "a "] {
            for count in 0..<40 {
                let text = String(repeating: filler, count: count) + word
                #expect(query.matches(text))
                #expect(
                    query.matches(text + "b") == ReferenceSearch(word)?.matches(text + "b"),
                    "\(count) × \(filler)")
            }
        }
    }

    @Test("takes bytes that are no UTF-8 as separators, as a repaired text has them")
    func invalidBytes() throws {
        var random = SeededGenerator(seed: 5)
        let queries = try ["ab", "a b", "éa", "日 a"].map { try #require(SearchQuery($0)) }
        for _ in 0..<5000 {
            var bytes = Array(Self.text(random.next(below: 12), of: Self.pieces, &random).utf8)
            for _ in 0..<random.next(below: 4) where !bytes.isEmpty {
                bytes[random.next(below: bytes.count)] = UInt8(random.next(below: 256))
            }
            let text = String(decoding: bytes, as: UTF8.self)
            for query in queries {
                let matches = bytes.withUnsafeBytes { query.matches(utf8: $0) }
                #expect(matches == query.matches(text), "\(bytes)")
            }
        }
    }

    @Test("folds every scalar to letters that are in normal form already")
    func normalForm() {
        var wrong: [UInt32] = []
        for value in UInt32(0)...0x10_FFFF {
            guard let scalar = Unicode.Scalar(value) else { continue }
            switch scalar.properties.generalCategory {
            case .unassigned, .privateUse: continue
            // Ideographs and syllables are very many and alike.
            case .otherLetter where value % 32 != 0 && (0x3400...0xD7FF).contains(value): continue
            case .otherLetter where value % 32 != 0 && value > 0x1_7000: continue
            default: break
            }
            let words = SearchText.words(of: String(scalar))
            let isNormal = words.allSatisfy { $0._nfd.elementsEqual($0.unicodeScalars) }
            if !isNormal || words != ReferenceSearch.words(of: String(scalar)) {
                wrong.append(value)
            }
        }
        #expect(wrong == [])
    }

    @Test("accepts a search of more words than its text could have")
    func manyWords() throws {
        let words = (0..<200).map { "w\($0)" }
        let query = try #require(SearchQuery(words.joined(separator: " ")))
        #expect(query.matches(words.reversed().joined(separator: ".")))
        #expect(!query.matches(words.dropFirst().joined(separator: ".")))
    }
}
