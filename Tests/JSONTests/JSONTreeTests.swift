import Bytes
import JSON
import SeededRandom
import Testing

@Suite("A JSON tree")
struct JSONTreeTests {
    @Test("keeps the order of members and uses the last one with a name")
    func members() throws {
        let tree = try JSONTree(parsing: #"{"z":1,"a":"x","z":[true,1.5]}"#)
        #expect(tree.members?.map(\.name) == ["z", "a", "z"])
        #expect(tree["z"]?.elements == [true, .number("1.5")])
        #expect(tree["a"]?.stringValue == "x")
        #expect(tree["b"] == nil)
        #expect(tree["z"]?.elements?[1].doubleValue == 1.5)
        #expect(tree["z"]?.elements?[1].integerValue == nil)
        #expect(tree["z"]?.elements?[0].boolValue == true)
    }

    @Test("tells names apart that only look the same")
    func canonicalEquivalence() throws {
        let tree = try JSONTree(parsing: "{\"e\u{301}\":1}")
        #expect(tree["\u{E9}"] == nil)
        #expect(tree["e\u{301}"] == 1)
    }

    @Test(
        "is written as it was parsed",
        arguments: [
            "null", "true", "false", "-12.50e3", "\"a\\\"\\\\\\n\\u0001é\"", "[]", "{}",
            #"[1,[2,{"a":null}],"b"]"#,
            #"{"z":1,"a":{"b":[]}}"#,
        ])
    func roundTrip(_ text: String) throws {
        #expect(try JSONTree(parsing: text).text == text)
    }

    @Test("can be created from a literal")
    func literals() {
        let tree: JSONTree = [
            "name": "x", "count": 3, "on": true, "none": nil, "list": [1, "two"],
        ]
        #expect(tree.text == #"{"name":"x","count":3,"on":true,"none":null,"list":[1,"two"]}"#)
    }
}

@Suite("A JSON string")
struct JSONStringWriterTests {
    @Test(
        "is escaped only where it must be",
        arguments: [
            ("", #""""#), ("plain", #""plain""#), ("a\"b\\c/d", #""a\"b\\c/d""#),
            ("\u{8}\u{9}\n\u{C}\r", #""\b\t\n\f\r""#),
            ("\0\u{1F}\u{7F}", "\"\\u0000\\u001f\u{7F}\""),
            ("é€😀\u{2028}", "\"é€😀\u{2028}\""),
            ("12345678\"12345678\"", #""12345678\"12345678\"""#),
            ("\"\"\"\"\"\"\"\"\"", #""\"\"\"\"\"\"\"\"\"""#),
            ("éééé\u{1}éééé", "\"éééé\\u0001éééé\""),
        ])
    func escapes(_ text: String, _ written: String) {
        var buffer = ByteBuffer()
        buffer.append(jsonString: text)
        #expect(buffer.text == written)
        buffer.removeAll()
        buffer.append(jsonString: ByteString(text))
        #expect(buffer.text == written)
    }

    @Test("is parsed to the text from which it was written")
    func roundTrip() throws {
        var random = SeededGenerator(seed: 7)
        let alphabet: [Unicode.Scalar] = [
            "a", "\"", "\\", "\n", "\0", "\u{1F}", " ", "/", "é", "€", "😀", "\u{7F}", "\u{D7FF}",
            "\u{10FFFF}", "u",
        ]
        for _ in 0..<2000 {
            var text = ""
            for _ in 0..<random.next(below: 40) {
                text.unicodeScalars.append(alphabet[random.next(below: alphabet.count)])
            }
            var buffer = ByteBuffer()
            buffer.append(jsonString: text)
            let read = try JSONTree(parsing: buffer.bytes.span.bytes).stringValue
            #expect(read.map { Array($0.utf8) } == Array(text.utf8))
        }
    }
}
