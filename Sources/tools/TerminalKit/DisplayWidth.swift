/// The number of terminal columns that a text takes (a subset of Unicode Standard Annex 11).
public enum DisplayWidth {
    /// The columns of a whole text.
    public static func of(_ text: some StringProtocol) -> Int {
        text.reduce(0) { $0 + self.of($1) }
    }

    /// 0, 1 or 2. The first visible scalar decides.
    public static func of(_ character: Character) -> Int {
        if character.isASCII { return character >= " " && character != "\u{7F}" ? 1 : 0 }
        for scalar in character.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .nonspacingMark, .enclosingMark, .format, .control: continue
            default: break
            }
            let emojiSelector: Unicode.Scalar = "\u{FE0F}"
            if scalar.properties.isEmojiPresentation
                || character.unicodeScalars.contains(emojiSelector)
            {
                return 2
            }
            return self.isWide(scalar.value) ? 2 : 1
        }
        return 0
    }

    /// Blocks that consist of wide characters only.
    private static func isWide(_ value: UInt32) -> Bool {
        switch value {
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3,
            0xF900...0xFAFF, 0xFE30...0xFE6F,
            0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x20000...0x3FFFD:
            true
        default: false
        }
    }
}
