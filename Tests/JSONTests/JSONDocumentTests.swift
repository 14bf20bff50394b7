import JSON
import Testing

@Suite("A JSON document")
struct JSONDocumentTests {
    /// A document with its bytes, so that a test can read a value in one line.
    struct ParsedDocument {
        let bytes: [UInt8]
        let document: JSONDocument
        var root: JSONValue { self.document.root }

        init(_ text: String) throws {
            let bytes = Array(text.utf8)
            var document = JSONDocument()
            try document.parse(bytes.span.bytes)
            self.bytes = bytes
            self.document = document
        }

        func member(_ name: StaticString) -> JSONValue? {
            self.document.member(name, of: self.root, in: self.bytes.span.bytes)
        }
        func string(_ value: JSONValue?) -> String? {
            value.flatMap { self.document.string($0, in: self.bytes.span.bytes) }
        }
        func integer(_ value: JSONValue?) -> Int? {
            value.flatMap { self.document.integer($0, in: self.bytes.span.bytes) }
        }
        func equals(_ value: JSONValue?, _ text: StaticString) -> Bool {
            value.map { self.document.equals($0, text, in: self.bytes.span.bytes) } ?? false
        }
        func raw(_ value: JSONValue?) -> String? {
            value.map { String(decoding: self.bytes[self.document.range(of: $0)], as: UTF8.self) }
        }
    }

    @Test("finds members after nested values, and only those of the object itself")
    func members() throws {
        let parsed = try ParsedDocument(#"{"a":{"b":1,"x":[{"c":2}]},"b":"two","c":[],"d":null}"#)
        #expect(parsed.string(parsed.member("b")) == "two")
        #expect(parsed.member("x") == nil)
        #expect(parsed.member("") == nil)
        #expect(parsed.member("c").map { parsed.document.kind(of: $0) } == .array)
        #expect(parsed.member("d").map { parsed.document.kind(of: $0) } == .null)
        #expect(
            parsed.document.nonNullMember("d", of: parsed.root, in: parsed.bytes.span.bytes) == nil)
        #expect(
            parsed.document.nonNullMember("b", of: parsed.root, in: parsed.bytes.span.bytes)
                == parsed.member("b"))
        #expect(
            parsed.document.member("a", of: parsed.member("c")!, in: parsed.bytes.span.bytes) == nil
        )
    }

    @Test("uses the last member with a name, even if the name is escaped")
    func duplicateNames() throws {
        let parsed = try ParsedDocument(#"{"key":1,"other":0,"k\u0065y":2}"#)
        #expect(parsed.integer(parsed.member("key")) == 2)
        let prefix = try ParsedDocument(#"{"ke\u0079s":1,"ke\u0079":2,"k\u0065":3}"#)
        #expect(prefix.integer(prefix.member("key")) == 2)
    }

    @Test(
        "decodes strings and counts their decoded bytes",
        arguments: [
            (#""""#, ""), (#""abc""#, "abc"), (#""é😀""#, "é😀"), (#""\u00e9\ud83d\ude00""#, "é😀"),
            (#""a\"\\\/b""#, "a\"\\/b"),
            (#""\u0000x""#, "\0x"),
        ])
    func strings(_ text: String, _ decoded: String) throws {
        let parsed = try ParsedDocument(text)
        #expect(parsed.string(parsed.root).map { Array($0.utf8) } == Array(decoded.utf8))
        #expect(
            parsed.document.decodedByteCount(parsed.root, in: parsed.bytes.span.bytes)
                == decoded.utf8.count)
    }

    @Test("compares strings with and without escapes")
    func comparing() throws {
        for text in [#""send""#, #""s\u0065nd""#] {
            let parsed = try ParsedDocument(text)
            #expect(parsed.equals(parsed.root, "send"))
            #expect(!parsed.equals(parsed.root, "sen"))
            #expect(!parsed.equals(parsed.root, "sends"))
            #expect(!parsed.equals(parsed.root, "sexd"))
            #expect(!parsed.equals(parsed.root, ""))
        }
        let number = try ParsedDocument("12")
        #expect(!number.equals(number.root, "12"))
        #expect(!number.equals(number.root, ""))
        #expect(number.string(number.root) == nil)
        #expect(number.document.decodedByteCount(number.root, in: number.bytes.span.bytes) == 0)
    }

    @Test(
        "returns integers exactly or not at all",
        arguments: [
            ("0", 0), ("-0", 0), ("42", 42), ("-42", -42), ("9223372036854775807", .max),
            ("-9223372036854775808", .min),
            ("9223372036854775808", nil),
            ("-9223372036854775809", nil), ("99999999999999999999999", nil), ("1.0", nil),
            ("1e2", nil), ("\"1\"", nil), ("true", nil),
        ] as [(String, Int?)])
    func integers(_ text: String, _ number: Int?) throws {
        let parsed = try ParsedDocument(text)
        #expect(parsed.integer(parsed.root) == number)
    }

    @Test(
        "returns the nearest double",
        arguments: [("1", 1), ("-1.5e3", -1500), ("0.1", 0.1), ("1e999", nil), ("\"1\"", nil)]
            as [(String, Double?)])
    func doubles(_ text: String, _ number: Double?) throws {
        let parsed = try ParsedDocument(text)
        #expect(parsed.document.double(parsed.root, in: parsed.bytes.span.bytes) == number)
    }

    @Test("returns a Boolean only for true and false")
    func booleans() throws {
        let parsed = try ParsedDocument(#"{"t":true,"f":false,"n":null,"i":1}"#)
        #expect(
            ["t", "f", "n", "i"].map { parsed.document.bool(parsed.member($0)!) } == [
                true, false, nil, nil,
            ])
    }

    @Test("returns raw slices as they were received")
    func slices() throws {
        let parsed = try ParsedDocument(
            #" { "metadata" : { "a" : [ 1 , 2 ] } , "text": "a\u0041" } "#)
        #expect(parsed.raw(parsed.member("metadata")) == #"{ "a" : [ 1 , 2 ] }"#)
        #expect(parsed.raw(parsed.member("text")) == #""a\u0041""#)
        #expect(
            parsed.raw(parsed.root) == #"{ "metadata" : { "a" : [ 1 , 2 ] } , "text": "a\u0041" }"#)
    }

    @Test("iterates over arrays and objects")
    func walking() throws {
        let parsed = try ParsedDocument(#"{"list":[1,[2,3],{"x":4},5],"empty":[],"none":{}}"#)
        let list = parsed.member("list")!
        var raw: [String] = []
        var next = parsed.document.firstElement(of: list)
        while let element = next {
            raw.append(parsed.raw(element)!)
            next = parsed.document.element(after: element, in: list)
        }
        #expect(raw == ["1", "[2,3]", #"{"x":4}"#, "5"])

        var names: [String] = []
        var member = parsed.document.firstMember(of: parsed.root)
        while let current = member {
            names.append(parsed.string(current.name)!)
            member = parsed.document.member(after: current, in: parsed.root)
        }
        #expect(names == ["list", "empty", "none"])
        #expect(parsed.document.firstElement(of: parsed.member("empty")!) == nil)
        #expect(parsed.document.firstMember(of: parsed.member("none")!) == nil)
        #expect(parsed.document.firstElement(of: parsed.root) == nil)
        #expect(parsed.document.firstMember(of: list) == nil)
        #expect(
            [parsed.root, list, parsed.member("empty")!, parsed.document.firstElement(of: list)!]
                .map { parsed.document.count(of: $0) } == [
                    3, 4, 0, 0,
                ])
    }

    @Test("drops the previous text, also after an invalid one")
    func reuse() throws {
        var document = JSONDocument()
        let first = Array(#"{"a":1,"b":2}"#.utf8)
        try document.parse(first.span.bytes)
        let bad = Array("[1,2".utf8)
        #expect(throws: JSONError.self) { try document.parse(bad.span.bytes) }
        let second = Array(#"{"b":3}"#.utf8)
        try document.parse(second.span.bytes)
        #expect(document.member("a", of: document.root, in: second.span.bytes) == nil)
        #expect(document.count(of: document.root) == 1)
    }
}
