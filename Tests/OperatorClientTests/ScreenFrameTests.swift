import Testing

@testable import OperatorClient

@Suite("A screen frame")
struct ScreenFrameTests {
    private static func lines(_ text: String) -> [String] {
        text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    @Test(
        """
        starts at the top left, clears the rest of each line and of the screen, and is empty \
        afterwards
        """
    )
    func rendering() {
        let frame = ScreenFrame()
        frame.add("NODE\n")
        frame.add("n1\nn2\n")
        #expect(
            Self.lines(frame.render(under: "title", height: 24))
                == [
                    "\u{1B}[Htitle\u{1B}[K", "\u{1B}[K", "NODE\u{1B}[K", "n1\u{1B}[K", "n2\u{1B}[K",
                    "\u{1B}[J",
                ])
        frame.add("n3\n")
        let second = frame.render(under: "title", height: 24)
        #expect(second.contains("n3") && !second.contains("n1"))
    }

    @Test(
        "is never higher than the terminal, and states how many lines are left out",
        arguments: [4, 5, 12, 13, 14])
    func height(_ height: Int) {
        let frame = ScreenFrame()
        for number in 1...10 { frame.add("row \(number)\n") }
        // Title, blank line, ten rows, and the cursor below.
        let lines = Self.lines(frame.render(under: "title", height: height)).dropLast()
        #expect(lines.count == min(12, height - 1))
        let rows = lines.filter { $0.hasPrefix("row ") }.count
        #expect(
            lines.last == (rows == 10 ? "row 10\u{1B}[K" : "… and \(10 - rows) lines more\u{1B}[K"))
    }
}
