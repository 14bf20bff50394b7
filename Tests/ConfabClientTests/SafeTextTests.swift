import Testing

@testable import ConfabClient

@Suite("Text of other users")
struct SafeTextTests {
    @Test(
        "is printed without control characters",
        arguments: [
            ("hello", "hello"),
            ("\u{1B}[2Jgone", #"\u{1b}[2Jgone"#),
            ("\u{9B}31m", #"\u{9b}31m"#),
            ("bell\u{7}", #"bell\u{7}"#),
            ("a\rb", #"a\u{d}b"#),
            ("del\u{7F}\u{0}", #"del\u{7f}\u{0}"#),
            ("two\nlines\r\nthree", #"two\nlines\nthree"#),
            ("tab\tbed", "tab    bed"),
            ("\u{202E}evil\u{202C}", #"\u{202e}evil\u{202c}"#),
            ("\u{2066}x\u{2069}\u{2028}", #"\u{2066}x\u{2069}\u{2028}"#),
            ("Grüße, 世界 👩‍👩‍👧 é", "Grüße, 世界 👩‍👩‍👧 é"),
        ])
    func escapes(text: String, escaped shown: String) {
        #expect(SafeText.line(text) == shown)
    }

    @Test("never contains a control character")
    func everyScalar() {
        for value in 0..<UInt32(0x3000) {
            guard let scalar = Unicode.Scalar(value) else { continue }
            for shown in [
                SafeText.line(String(scalar)), SafeText.block("a\(scalar)b", indentation: "  "),
            ] {
                let controls = shown.unicodeScalars.filter {
                    $0 != "\n" && ($0.value < 0x20 || (0x7F...0x9F).contains($0.value))
                }
                #expect(controls.isEmpty, "\(value)")
            }
        }
    }

    @Test("has continuation lines that cannot pass for another message")
    func block() {
        #expect(
            SafeText.block("a\nbob: b\r\n\nc", indentation: "    ") == "a\n    bob: b\n    \n    c")
    }

    @Test("is cut if it is too long")
    func limit() {
        #expect(SafeText.line("abcdef", limit: 6) == "abcdef")
        #expect(SafeText.line("abcdefg", limit: 6) == "abcdef…")
    }
}
