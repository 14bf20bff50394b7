@_spi(_Unicode) import Swift

/// The definition of a search, word by word, without a table and without an early end.
struct ReferenceSearch {
    let words: [String]

    /// Nil if the text has no word.
    init?(_ text: String) {
        self.words = Self.words(of: text)
        if self.words.isEmpty { return nil }
    }

    func matches(_ content: String) -> Bool {
        let words = Self.words(of: content)
        guard let last = self.words.last, words.contains(where: { $0.hasPrefix(last) }) else {
            return false
        }
        return self.words.dropLast().allSatisfy(words.contains)
    }

    static func words(of text: String) -> [String] {
        var words: [String] = []
        var word = ""
        for scalar in text._nfd {
            switch scalar.properties.generalCategory {
            case .nonspacingMark, .enclosingMark:
                continue
            case .otherLetter where Self.hasNoSpaces(scalar):
                if !word.isEmpty { words.append(word) }
                words.append(String(scalar))
                word = ""
            case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter,
                .otherLetter, .decimalNumber, .letterNumber, .otherNumber, .spacingMark:
                word += scalar.properties.lowercaseMapping
            default:
                if !word.isEmpty { words.append(word) }
                word = ""
            }
        }
        if !word.isEmpty { words.append(word) }
        return words
    }

    private static func hasNoSpaces(_ letter: Unicode.Scalar) -> Bool {
        if letter.properties.isIdeographic { return true }
        return switch letter.value {
        case 0x0E00...0x0EFF, 0x1000...0x109F, 0x1780...0x17FF, 0x3040...0x30FF, 0x31F0...0x31FF:
            true
        default: false
        }
    }
}
