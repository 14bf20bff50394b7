/// Makes text of other users safe to print.
///
/// A terminal executes control characters: the sender of a message could move the cursor, rename
/// the window, or type in the reader's name. So each is printed as its number. The same goes for
/// the characters that change the writing direction, because they make a line read as another.
public enum SafeText {
    /// The text on one line.
    ///
    /// - Parameter limit: the maximum number of characters, before an ellipsis.
    public static func line(_ text: String, limit: Int = .max) -> String {
        self.escaped(text, limit: limit, newline: "\\n")
    }

    /// The text with its line breaks. Continued lines are indented, so that none can pass for
    /// another message.
    public static func block(_ text: String, indentation: String) -> String {
        self.escaped(text, limit: .max, newline: "\n" + indentation)
    }

    private static func escaped(_ text: String, limit: Int, newline: String) -> String {
        if text.unicodeScalars.allSatisfy(self.isPrintable), limit == .max || text.count <= limit {
            return text
        }
        var safe = ""
        for (index, character) in text.enumerated() {
            if index == limit { return safe + "…" }
            // Swift treats "\r\n" as one character.
            if character == "\n" || character == "\r\n" {
                safe += newline
                continue
            }
            for scalar in character.unicodeScalars {
                if self.isPrintable(scalar) {
                    safe.unicodeScalars.append(scalar)
                } else if scalar == "\t" {
                    safe += "    "
                } else {
                    safe += "\\u{\(String(scalar.value, radix: 16))}"
                }
            }
        }
        return safe
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x20...0x7E: true
        case 0...0x9F: false
        // Line and paragraph separators; embeddings, overrides and isolates of the writing
        // direction.
        case 0x2028, 0x2029, 0x202A...0x202E, 0x2066...0x2069: false
        default: true
        }
    }
}
