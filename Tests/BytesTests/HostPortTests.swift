import Bytes
import Testing

@Suite("Hosts with ports")
struct HostPortTests {
    struct SplitExample: Sendable, CustomTestStringConvertible {
        let text: String
        let host: String
        var suffix = ""
        var portText: String?
        var port: UInt16?
        var isBracketed = false
        var isAmbiguous = false

        var testDescription: String { "\"\(self.text)\"" }
    }

    @Test(
        "are split into their parts",
        arguments: [
            SplitExample(text: "", host: ""),
            SplitExample(text: "chat.example", host: "chat.example"),
            SplitExample(text: "a:80", host: "a", suffix: ":80", portText: "80", port: 80),
            SplitExample(text: "a:0", host: "a", suffix: ":0", portText: "0", port: 0),
            SplitExample(text: "a:00080", host: "a", suffix: ":00080", portText: "00080", port: 80),
            SplitExample(
                text: "a:65535", host: "a", suffix: ":65535", portText: "65535", port: 65_535),
            SplitExample(text: "a:65536", host: "a", suffix: ":65536", portText: "65536"),
            SplitExample(text: "a:+80", host: "a", suffix: ":+80", portText: "+80"),
            SplitExample(text: "a:８", host: "a", suffix: ":８", portText: "８"),
            SplitExample(text: "a:", host: "a", suffix: ":", portText: ""),
            SplitExample(text: ":80", host: "", suffix: ":80", portText: "80", port: 80),
            SplitExample(text: "[::1]", host: "::1", isBracketed: true),
            SplitExample(
                text: "[::1]:80", host: "::1", suffix: ":80", portText: "80", port: 80,
                isBracketed: true),
            SplitExample(text: "[::1]80", host: "::1", suffix: "80", isBracketed: true),
            SplitExample(text: "[::1]]:80", host: "::1", suffix: "]:80", isBracketed: true),
            SplitExample(
                text: "[::1]:8:0", host: "::1", suffix: ":8:0", portText: "8:0", isBracketed: true),
            SplitExample(text: "[]", host: "", isBracketed: true),
            SplitExample(text: "::1", host: "", suffix: "::1", portText: ":1", isAmbiguous: true),
            SplitExample(
                text: "a:b:80", host: "a", suffix: ":b:80", portText: "b:80", isAmbiguous: true),
        ])
    func parts(example: SplitExample) throws {
        let parts = try #require(HostPort(example.text[...]))
        #expect(parts.host == example.host)
        #expect(parts.suffix == example.suffix)
        #expect(parts.portText.map(String.init) == example.portText)
        #expect(parts.port == example.port)
        #expect(parts.isBracketed == example.isBracketed)
        #expect(parts.isAmbiguous == example.isAmbiguous)
    }

    @Test(
        "are split at the last colon, if a port follows even an IPv6 address without brackets",
        arguments: [
            SplitExample(text: "", host: ""),
            SplitExample(text: "a", host: "a"),
            SplitExample(text: "a:80", host: "a", suffix: ":80", portText: "80", port: 80),
            SplitExample(text: ":80", host: "", suffix: ":80", portText: "80", port: 80),
            SplitExample(text: "a:", host: "a", suffix: ":", portText: ""),
            SplitExample(text: "a:65536", host: "a", suffix: ":65536", portText: "65536"),
            SplitExample(
                text: "2001:db8::1:80", host: "2001:db8::1", suffix: ":80", portText: "80",
                port: 80),
            SplitExample(text: "::1", host: ":", suffix: ":1", portText: "1", port: 1),
            SplitExample(text: "[::1]", host: "::1", isBracketed: true),
            SplitExample(
                text: "[::1]:80", host: "::1", suffix: ":80", portText: "80", port: 80,
                isBracketed: true),
            SplitExample(text: "::1]", host: "::1]"),
            SplitExample(
                text: "[::1]x:80", host: "[::1]x", suffix: ":80", portText: "80", port: 80),
            SplitExample(text: "[", host: "["),
        ])
    func lastColon(example: SplitExample) {
        let parts = HostPort(atLastColonOf: example.text[...])
        #expect(parts.host == example.host)
        #expect(parts.suffix == example.suffix)
        #expect(parts.portText.map(String.init) == example.portText)
        #expect(parts.port == example.port)
        #expect(parts.isBracketed == example.isBracketed)
    }

    @Test("are rejected if their bracket is not closed", arguments: ["[", "[::1", "[::1:80"])
    func unclosed(text: String) {
        #expect(HostPort(text[...]) == nil)
    }

    @Test("are written with brackets around IPv6 only")
    func written() {
        #expect(HostPort.bracketed("::1") == "[::1]")
        #expect(HostPort.bracketed("127.0.0.1") == "127.0.0.1")
        #expect(HostPort.bracketed("chat.example") == "chat.example")
    }
}
