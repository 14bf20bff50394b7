/// Lays text out in lines of a fixed width.
enum TextLayout {
    static let width = 80

    /// Lines of at most `width` characters, broken at spaces but not inside square brackets. A
    /// longer word has a line of its own.
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

    /// Splits a text into words. Text in square brackets counts as one word, if it fits on a line.
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

    /// Two columns of terms and explanations. The first column is as wide as the longest term,
    /// unless `termWidth` is given.
    static func columns(_ rows: [(term: String, text: String)], termWidth: Int? = nil) -> String {
        let termWidth = termWidth ?? rows.map(\.term.count).max() ?? 0
        let indent = String(repeating: " ", count: termWidth + 4)
        var text = ""
        for row in rows {
            var lines = self.lines(row.text, width: self.width - indent.count)
            if row.term.count > termWidth || lines.isEmpty {
                text += "  \(row.term)\n"
            } else {
                let gap = String(repeating: " ", count: termWidth - row.term.count + 2)
                text += "  " + row.term + gap + lines.removeFirst() + "\n"
            }
            for line in lines { text += indent + line + "\n" }
        }
        return text
    }

    /// A paragraph of full width.
    static func paragraph(_ text: String) -> String {
        self.lines(text, width: self.width).joined(separator: "\n") + "\n"
    }
}
