/// Makes other people's words fit to be printed.
///
/// A terminal obeys control characters: whoever can write a message could move the cursor, rename the window, or type for its
/// reader. So each comes out as its number, and so do the marks that turn the direction of writing around, because they make a
/// line read as another.
public enum SafeText {
    /// The text in one line.
    ///
    /// - Parameter limit: so many characters are shown at most, an ellipsis behind them.
    public static func line(_ text: String, limit: Int = .max) -> String {
        self.escaped(text, limit: limit, newline: "\\n")
    }

    /// The text with its own line ends, each continued line indented, so that none can pass for another message.
    public static func block(_ text: String, indentation: String) -> String {
        self.escaped(text, limit: .max, newline: "\n" + indentation)
    }

    private static func escaped(_ text: String, limit: Int, newline: String) -> String {
        if text.unicodeScalars.allSatisfy(self.isPrintable), limit == .max || text.count <= limit {
            return text
        }
        var safe = ""
        for (place, character) in text.enumerated() {
            if place == limit { return safe + "…" }
            // A return in front of a line feed is one character with it.
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
        // Line and paragraph separators; embeddings, overrides and isolates of the writing's direction.
        case 0x2028, 0x2029, 0x202A...0x202E, 0x2066...0x2069: false
        default: true
        }
    }
}
