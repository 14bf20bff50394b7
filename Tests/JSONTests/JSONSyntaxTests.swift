import JSON
import Testing

/// Parses a text. Returns its value or the error.
func parsed(_ bytes: [UInt8], depthLimit: Int = 32, valueLimit: Int = 65_536) -> Result<
    JSONTree, JSONError
> {
    Result { () throws(JSONError) in
        try JSONTree(parsing: bytes.span.bytes, depthLimit: depthLimit, valueLimit: valueLimit)
    }
}

func parsed(_ text: String) -> Result<JSONTree, JSONError> {
    parsed(Array(text.utf8))
}

@Suite("JSON texts")
struct JSONSyntaxTests {
    static let accepted: [(String, JSONTree)] = [
        ("null", nil), ("true", true), ("false", false), (" \t\r\n1 \t\r\n", 1), ("\"\"", ""),
        ("[]", []), ("{}", [:]), ("[ ]", []),
        ("{ }", [:]),
        ("0", 0), ("-0", .number("-0")), ("-1", -1), ("10", 10), ("1.5", .number("1.5")),
        ("0.10", .number("0.10")),
        ("1e5", .number("1e5")),
        ("1E+5", .number("1E+5")), ("1e-05", .number("1e-05")), ("-0.0e0", .number("-0.0e0")),
        ("0e1", .number("0e1")),
        ("123456789012345678901234567890", .number("123456789012345678901234567890")),
        ("1e999", .number("1e999")),
        ("[1,2,3]", [1, 2, 3]), ("[ 1 , [ 2 ] , { } ]", [1, [2], [:]]),
        ("[[],[[]],[]]", [[], [[]], []]),
        (#"{"a":1,"b":{"c":[true,null]}}"#, ["a": 1, "b": ["c": [true, nil]]]),
        (#"{"a":1,"a":2}"#, ["a": 1, "a": 2]),
        (#"{"":0}"#, ["": 0]), ("{ \"a\" : 1 , \"b\" : 2 }", ["a": 1, "b": 2]),
        (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{C}\n\r\t"),
        (#""\u0041\u00e9\u20AC\uD83D\ude00""#, "Aé€😀"), (#""\u0000""#, "\0"),
        (#""\uFFFE\uFFFF""#, "\u{FFFE}\u{FFFF}"), (#""\uDBFF\uDFFF""#, "\u{10FFFF}"),
        (#""\\u0041""#, "\\u0041"),
        ("\"é€😀\u{10FFFF}\u{7F}\u{2028}\"", "é€😀\u{10FFFF}\u{7F}\u{2028}"),
        (
            "\"a long text without anything to escape in it\"",
            "a long text without anything to escape in it"
        ),
        ("\"0123456\\n\"", "0123456\n"), ("\"01234567\\n\"", "01234567\n"),
        ("\"\u{FEFF}\"", "\u{FEFF}"),
    ]

    @Test("are parsed to the expected values", arguments: accepted)
    func accepts(_ text: String, _ tree: JSONTree) {
        #expect(parsed(text) == .success(tree))
    }

    static let rejected: [(String, JSONError.Reason, Int)] = [
        ("", .unexpectedEnd, 0), (" ", .unexpectedEnd, 1), ("[", .unexpectedEnd, 1),
        ("{", .unexpectedEnd, 1), ("[1", .unexpectedEnd, 2),
        ("[1,", .unexpectedEnd, 3),
        ("{\"a\"", .unexpectedEnd, 4), ("{\"a\":", .unexpectedEnd, 5),
        ("{\"a\":1", .unexpectedEnd, 6), ("\"", .unexpectedEnd, 1),
        ("\"abc", .unexpectedEnd, 4),
        ("\"abc\\", .unexpectedEnd, 5), ("\"\\u00", .unexpectedEnd, 5), ("-", .unexpectedEnd, 1),
        ("1.", .unexpectedEnd, 2),
        ("1e", .unexpectedEnd, 2), ("1e+", .unexpectedEnd, 3),
        ("[1,]", .valueExpected, 3), ("[,1]", .valueExpected, 1), ("[1,,2]", .valueExpected, 3),
        ("{\"a\":}", .valueExpected, 5),
        ("]", .valueExpected, 0),
        ("tru", .valueExpected, 0), ("True", .valueExpected, 0), ("nul", .valueExpected, 0),
        ("NaN", .valueExpected, 0),
        ("Infinity", .valueExpected, 0),
        ("'a'", .valueExpected, 0), ("+1", .valueExpected, 0), (".5", .valueExpected, 0),
        ("/**/1", .valueExpected, 0),
        ("\u{C}1", .valueExpected, 0), ("\u{A0}1", .valueExpected, 0),
        ("{\"a\":1,}", .nameExpected, 7), ("{1:2}", .nameExpected, 1), ("{a:1}", .nameExpected, 1),
        ("{,}", .nameExpected, 1),
        ("{null:1}", .nameExpected, 1),
        ("{\"a\" 1}", .colonExpected, 5), ("{\"a\",1}", .colonExpected, 4),
        ("{\"a\"}", .colonExpected, 4),
        ("{\"a\"::1}", .valueExpected, 5),
        ("[1 2]", .commaOrEndExpected, 3), ("[1:2]", .commaOrEndExpected, 2),
        ("{\"a\":1 \"b\":2}", .commaOrEndExpected, 7),
        ("[truefalse]", .commaOrEndExpected, 5),
        ("[1}", .mismatchedBracket, 2), ("{\"a\":1]", .mismatchedBracket, 6),
        ("[}", .valueExpected, 1), ("{]", .nameExpected, 1),
        ("1 2", .trailingContent, 2), ("{}x", .trailingContent, 2), ("[]]", .trailingContent, 2),
        ("null\0", .trailingContent, 4), ("1//", .trailingContent, 1),
        ("trues", .trailingContent, 4), ("\u{FEFF}{}", .byteOrderMark, 0),
        ("01", .badNumber, 0), ("-01", .badNumber, 1), ("00", .badNumber, 0), ("-a", .badNumber, 1),
        ("[1.]", .badNumber, 3),
        ("[1.e5]", .badNumber, 3), ("[1e]", .badNumber, 3), ("[-]", .badNumber, 2),
        ("0x10", .trailingContent, 1), ("1_000", .trailingContent, 1),
        ("1.5.5", .trailingContent, 3),
        ("--1", .badNumber, 1),
        ("\"a\nb\"", .controlCharacter, 2), ("\"\0\"", .controlCharacter, 1),
        ("\"\u{1F}\"", .controlCharacter, 1),
        ("\"12345678\t\"", .controlCharacter, 9),
        ("\"\\x41\"", .badEscape, 1), ("\"\\'\"", .badEscape, 1), ("\"\\U0041\"", .badEscape, 1),
        ("\"\\u00g0\"", .badEscape, 5),
        ("\"\\u 041\"", .badEscape, 3), ("\"\\\n\"", .badEscape, 1),
        ("\"\\uD800\"", .loneSurrogate, 1), ("\"\\uDC00\"", .loneSurrogate, 1),
        ("\"\\uD800x\"", .loneSurrogate, 1),
        ("\"\\uD800\\n\"", .loneSurrogate, 1),
        ("\"\\uD800\\uD800\"", .loneSurrogate, 1), ("\"\\uDC00\\uD800\"", .loneSurrogate, 1),
        ("\"a\\uDFFF\"", .loneSurrogate, 2),
        ("{\"\\uD800\":1}", .loneSurrogate, 2),
    ]

    @Test("that are malformed are rejected at the position of the error", arguments: rejected)
    func rejects(_ text: String, _ reason: JSONError.Reason, _ offset: Int) {
        #expect(parsed(text) == .failure(JSONError(reason, at: offset)))
    }

    static let badUTF8: [[UInt8]] = [
        [0x80], [0xBF], [0xC0, 0x80], [0xC1, 0xBF], [0xC2], [0xC2, 0x22], [0xE0, 0x80, 0x80],
        [0xE0, 0x9F, 0xBF], [0xE2, 0x82],
        [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF],
        [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x8F, 0xBF, 0xBF], [0xF0, 0x9F, 0x98],
        [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFE],
        [0xFF],
        [0xC3, 0xA9, 0xFF], [0xE2, 0x28, 0xA1], [0xE2, 0x82, 0x28], [0xF0, 0x28, 0x8C, 0xBC],
    ]

    @Test("with strings that are not UTF-8 are rejected", arguments: badUTF8)
    func rejectsBadUTF8(_ bytes: [UInt8]) {
        for text in [bytes, Array("0123456789".utf8) + bytes, bytes + Array("0123456789".utf8)] {
            let result = parsed([0x22] + text + [0x22])
            #expect(throws: JSONError.self) { try result.get() }
        }
        #expect(throws: JSONError.self) { try parsed([0x22] + bytes).get() }
        #expect(throws: JSONError.self) { try parsed(bytes).get() }
    }

    @Test("are bounded in depth")
    func depth() {
        #expect(throws: Never.self) { try parsed(Array("[[[]]]".utf8), depthLimit: 3).get() }
        #expect(
            parsed(Array("[[[[]]]]".utf8), depthLimit: 3)
                == .failure(JSONError(.tooDeep(limit: 3), at: 3)))
        #expect(
            parsed(Array(#"{"a":[{"b":{}}]}"#.utf8), depthLimit: 3)
                == .failure(JSONError(.tooDeep(limit: 3), at: 11)))
        #expect(parsed(Array("[[],[],[]]".utf8), depthLimit: 2) == .success([[], [], []]))
        let bomb = [UInt8](repeating: UInt8(ascii: "["), count: 1_000_000)
        #expect(parsed(bomb) == .failure(JSONError(.tooDeep(limit: 32), at: 32)))
    }

    @Test("are bounded in values")
    func values() {
        #expect(parsed(Array("[1,2,3]".utf8), valueLimit: 4) == .success([1, 2, 3]))
        #expect(
            parsed(Array("[1,2,3,4]".utf8), valueLimit: 4)
                == .failure(JSONError(.tooManyValues(limit: 4), at: 7)))
    }

    @Test("that are truncated anywhere are rejected, and no byte after the end is read")
    func prefixes() {
        let text = Array(
            #"""
            {"a":[1,-2.5e+3,"é\u20ac\uD83D\uDE00\n",true,false,null,{}],"bcdefghijk":"0123456789"}
            """#
            .utf8)
        #expect(throws: Never.self) { try parsed(text).get() }
        for count in 0..<text.count {
            #expect(throws: JSONError.self) { try parsed(Array(text[..<count])).get() }
        }
    }

    @Test("are rejected with a readable message")
    func errorText() {
        #expect(
            parsed("[1,]") == .failure(JSONError(.valueExpected, at: 3))
                && JSONError(.valueExpected, at: 3).description
                    == "The JSON is malformed at byte 3: a value was expected."
        )
    }
}
