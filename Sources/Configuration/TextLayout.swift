/// Lays text out in lines of a terminal's width.
enum TextLayout {
    static let width = 100

    /// Lines of at most `width` letters, broken at spaces but not inside of brackets; a longer word stands alone.
    static func lines(_ text: String, width: Int) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in self.words(text, width: width) {
            if !line.isEmpty, line.count + 1 + word.count > width {
                lines.append(line)
                line = ""
            }
            line += line.isEmpty ? String(word) : " " + word
        }
        return line.isEmpty ? lines : lines + [line]
    }

    /// The words of a text; what stands in brackets is one, if it fits a line.
    private static func words(_ text: String, width: Int) -> [String] {
        var words: [String] = []
        var isInside = false
        for word in text.split(separator: " ") {
            if isInside, let last = words.last, last.count + 1 + word.count <= width {
                words[words.count - 1] = last + " " + word
            } else {
                words.append(String(word))
            }
            isInside = (isInside || word.hasPrefix("[")) && !word.hasSuffix("]")
        }
        return words
    }

    /// Pairs of a term and its explanation, in two columns, the first as wide as its longest term unless told otherwise.
    static func columns(_ rows: [(term: String, text: String)], termWidth: Int? = nil) -> String {
        let termWidth = termWidth ?? rows.map(\.term.count).max() ?? 0
        let indent = String(repeating: " ", count: termWidth + 4)
        var text = ""
        for row in rows {
            var lines = self.lines(row.text, width: self.width - indent.count)
            if row.term.count > termWidth || lines.isEmpty {
                text += "  \(row.term)\n"
            } else {
                text +=
                    "  \(row.term)\(String(repeating: " ", count: termWidth - row.term.count + 2))\(lines.removeFirst())\n"
            }
            for line in lines { text += indent + line + "\n" }
        }
        return text
    }

    /// A paragraph over the whole width.
    static func paragraph(_ text: String) -> String {
        self.lines(text, width: self.width).joined(separator: "\n") + "\n"
    }
}
