import Testing

@testable import Telemetry

@Suite("The recent lines of the log")
struct RecentLinesTests {
    private static func line(_ text: String) -> [UInt8] { Array("\(text)\n".utf8) }

    @Test("are the newest 500, oldest first, without line feeds")
    func newest() {
        var recent = RecentLines()
        for number in 1...3 { recent.append(Self.line("\(number)")) }
        #expect(recent.texts == ["1", "2", "3"])
        for number in 4...1207 { recent.append(Self.line("\(number)")) }
        #expect(recent.texts == (708...1207).map(String.init))
    }

    @Test("are fewer if they are long")
    func bytes() {
        var recent = RecentLines()
        let text = String(repeating: "x", count: 9_999)
        for number in 0..<600 { recent.append(Self.line("\(number % 10)\(text)")) }
        let count = RecentLines.byteLimit / 10_001
        #expect(recent.texts.map { $0.prefix(1) } == (600 - count..<600).map { "\($0 % 10)" })
        // Short lines fill the ring again.
        for number in 0..<500 { recent.append(Self.line("\(number)")) }
        #expect(recent.texts == (0..<500).map(String.init))
    }

    @Test("include a line that is longer than the bound only until it is appended")
    func tooLong() {
        var recent = RecentLines()
        recent.append(Self.line("short"))
        recent.append([UInt8](repeating: 0x78, count: RecentLines.byteLimit + 1))
        #expect(recent.texts == [])
        recent.append(Self.line("next"))
        #expect(recent.texts == ["next"])
    }
}
