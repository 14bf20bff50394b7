import Testing

@testable import Pages

@Suite("A compact script")
struct CompactSourceTests {
    @Test(arguments: [
        ("let a = 1;\n", "let a = 1;\n"),
        ("let a = 1;", "let a = 1;\n"),
        ("\tlet a = 1; // kept\n\n    // gone\n", "let a = 1; // kept\n"),
        ("/** @type {any} */\nlet a;\n", "let a;\n"),
        ("/** @type {any} */ (a).b();\n", "(a).b();\n"),
        ("/**\n * Gone.\n * let a;\n */\nlet b;\n", "let b;\n"),
        ("/* one\ntwo */ let b;\n", "let b;\n"),
        ("/*/\nstill a comment\n*/\nlet b;\n", "let b;\n"),
        (
            "f(/* kept */ 1);\nlet url = \"http://a\";\n",
            "f(/* kept */ 1);\nlet url = \"http://a\";\n"
        ),
        (
            "f(/** @type {any} */ (a), (/** @type {any} */ b) => c);\n",
            "f((a), (b) => c);\n"
        ),
        ("f(/** @type {{\n", "f(/** @type {{\n"),
        ("a\n  * b;\n", "a\n* b;\n"),
        ("", ""),
    ])
    func `has no comments at the beginnings of lines, no types and no indentation`(
        source: String, compacted: String
    ) {
        let bytes = CompactSource.compact(Array(source.utf8))
        #expect(String(decoding: bytes, as: UTF8.self) == compacted)
    }
}
