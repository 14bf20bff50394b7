/// The rule for names that people read: ids of users, display names, titles.
///
/// A name must not change how the text around it reads, and must be visible. So it has no control
/// characters and no bidirectional controls, which let a name end in another direction than it
/// seems to, and at least one character leaves ink. Joiners stay allowed inside, because emoji and
/// several scripts need them.
public enum NameRule {
    /// The rule as text that follows "must be 1 to N".
    public static let text = """
        characters without control characters and bidirectional controls, at least one of them \
        visible
        """

    /// - Parameter limit: the maximum number of Unicode scalars.
    public static func allows(_ text: String, limit: Int) -> Bool {
        var count = 0
        var isVisible = false
        for scalar in text.unicodeScalars {
            count += 1
            guard count <= limit else { return false }
            // Most names are ASCII; properties cost a lookup in tables.
            if (0x21...0x7E).contains(scalar.value) {
                isVisible = true
                continue
            }
            guard !self.isForbidden(scalar) else { return false }
            isVisible = isVisible || self.isVisible(scalar)
        }
        return isVisible
    }

    /// The rule for ids of existing users as text that follows "must be 1 to N".
    public static let existingText = "characters without control characters"

    /// The weaker rule for ids of existing users: whatever their names are, they can be removed and
    /// banned.
    public static func allowsExisting(_ text: String, limit: Int) -> Bool {
        let scalars = text.unicodeScalars
        return (1...limit).contains(scalars.count)
            && !scalars.contains { $0.properties.generalCategory == .control }
    }

    /// Control characters, line ends, and everything that changes the direction of writing.
    private static func isForbidden(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        default: scalar.properties.isBidiControl
        }
    }

    /// U+3164 and its like are letters that Unicode asks programs not to draw.
    private static func isVisible(_ scalar: Unicode.Scalar) -> Bool {
        let properties = scalar.properties
        let brailleBlank: UInt32 = 0x2800
        return !properties.isWhitespace && !properties.isDefaultIgnorableCodePoint
            && properties.generalCategory != .format && scalar.value != brailleBlank
    }
}
