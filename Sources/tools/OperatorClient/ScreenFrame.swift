/// The output of one `--watch` interval. It replaces the previous frame in one write, so that
/// nothing flickers.
final class ScreenFrame {
    private var text = ""

    func add(_ text: String) { self.text += text }

    /// Renders the frame for a terminal of this height, cuts it if it is longer, and clears it.
    func render(under title: String, height: Int) -> String {
        defer { self.text = "" }
        var lines =
            [title, ""]
            + self.text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if lines.last == "" { lines.removeLast() }
        if lines.count >= height {
            let hidden = lines.count - height + 2
            lines = lines.prefix(max(0, height - 2)) + ["… and \(hidden) lines more"]
        }
        // Cursor to the top left; clear the rest of each line, and then the rest of the screen.
        return "\u{1B}[H" + lines.map { $0 + "\u{1B}[K\n" }.joined() + "\u{1B}[J"
    }
}
