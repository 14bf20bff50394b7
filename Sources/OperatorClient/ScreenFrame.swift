/// What a terminal shows until the next of its kind, which takes its place all at once: nothing flickers.
final class ScreenFrame {
    private var text = ""

    func add(_ text: String) { self.text += text }

    /// The page as a terminal of so many lines takes it, cut at its end; the next begins empty.
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
        // To the first place; each line to its end; and what is left of the page before.
        return "\u{1B}[H" + lines.map { $0 + "\u{1B}[K\n" }.joined() + "\u{1B}[J"
    }
}
