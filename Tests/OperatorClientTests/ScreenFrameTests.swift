import Testing

@testable import OperatorClient

@Suite("A page that takes the place of the one before")
struct ScreenFrameTests {
    private static func lines(_ text: String) -> [String] {
        text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    @Test(
        "begins at the first place, clears each line to its end and what is below, and begins anew")
    func rendering() {
        let page = ScreenFrame()
        page.add("NODE\n")
        page.add("n1\nn2\n")
        #expect(
            Self.lines(page.render(under: "title", height: 24))
                == [
                    "\u{1B}[Htitle\u{1B}[K", "\u{1B}[K", "NODE\u{1B}[K", "n1\u{1B}[K", "n2\u{1B}[K",
                    "\u{1B}[J",
                ])
        page.add("n3\n")
        let second = page.render(under: "title", height: 24)
        #expect(second.contains("n3") && !second.contains("n1"))
    }

    @Test(
        "is never higher than the terminal, and says how much it leaves out",
        arguments: [4, 5, 12, 13, 14])
    func height(_ height: Int) {
        let page = ScreenFrame()
        for number in 1...10 { page.add("row \(number)\n") }
        // Title, blank, ten rows; the cursor stands below.
        let lines = Self.lines(page.render(under: "title", height: height)).dropLast()
        #expect(lines.count == min(12, height - 1))
        let rows = lines.filter { $0.hasPrefix("row ") }.count
        #expect(
            lines.last == (rows == 10 ? "row 10\u{1B}[K" : "… and \(10 - rows) lines more\u{1B}[K"))
    }
}
