import TerminalKit

/// Breaks text into lines by its width in terminal columns.
enum TextWrap {
    /// - Parameters:
    ///   - text: its line breaks are kept.
    ///   - first: the columns of the first line, at least 2, because a character may take two.
    ///   - rest: the columns of each other line, at least 2.
    /// - Returns: at least one line, none wider than its columns. A line breaks between words, or
    ///   within a word that is wider than a line, or next to a wide character.
    static func lines(_ text: String, first: Int, rest: Int) -> [String] {
        var lines: [String] = []
        for paragraph in text.split(separator: "\n", omittingEmptySubsequences: false) {
            var line = ""
            var width = 0
            for word in self.words(paragraph) {
                let limit = lines.isEmpty ? first : rest
                let wordWidth = DisplayWidth.of(word)
                if width + self.trimmedWidth(word) <= limit {
                    line += word
                    width += wordWidth
                    continue
                }
                if width > 0, self.trimmedWidth(word) <= rest {
                    lines.append(self.trimmed(line))
                    (line, width) = (String(word), wordWidth)
                    continue
                }
                for character in word {
                    let limit = lines.isEmpty ? first : rest
                    let characterWidth = DisplayWidth.of(character)
                    if width + characterWidth > limit, character != " " {
                        lines.append(self.trimmed(line))
                        (line, width) = ("", 0)
                    }
                    line.append(character)
                    width += characterWidth
                }
            }
            lines.append(self.trimmed(line))
        }
        return lines
    }

    /// The words with the spaces that follow them. A wide character is a word of its own.
    private static func words(_ text: Substring) -> [Substring] {
        var words: [Substring] = []
        var start = text.startIndex
        var index = start
        while index < text.endIndex {
            let next = text.index(after: index)
            let isWide = DisplayWidth.of(text[index]) == 2
            let endsWord =
                next == text.endIndex || isWide && text[next] != " "
                || text[index] == " " && text[next] != " "
                || DisplayWidth.of(text[next]) == 2 && text[index] != " "
            if endsWord {
                words.append(text[start..<next])
                start = next
            }
            index = next
        }
        return words
    }

    private static func trimmed(_ line: String) -> String {
        var line = line
        while line.last == " " { line.removeLast() }
        return line
    }

    private static func trimmedWidth(_ word: Substring) -> Int {
        var word = word
        while word.last == " " { word.removeLast() }
        return DisplayWidth.of(word)
    }
}
