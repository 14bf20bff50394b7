@_spi(_Unicode) import Swift

/// The words of a search. A text matches if it contains all of them: each as a whole word, the last
/// one as the beginning of a word (PROTOCOLS, "Search").
///
/// Case and accents do not count. In scripts without spaces between words, such as Chinese and
/// Japanese, every character is a word. Everything but letters and digits separates words, so a
/// search has no operators.
public struct SearchQuery: Sendable, Equatable {
    /// Folded; never empty.
    public let words: [String]

    /// The most bytes of a search text.
    public static let byteLimit = 256

    /// Nil if the text has no word.
    public init?(_ text: String) {
        self.words = SearchText.words(of: text)
        if self.words.isEmpty { return nil }
    }

    public func matches(_ content: String) -> Bool {
        let words = SearchText.words(of: content)
        guard let last = self.words.last, words.contains(where: { $0.hasPrefix(last) }) else {
            return false
        }
        return self.words.dropLast().allSatisfy(words.contains)
    }
}

/// The words of a text as a search compares them.
public enum SearchText {
    /// In lower case, without accents, in the order of the text.
    public static func words(of text: String) -> [String] {
        var words: [String] = []
        var word = ""
        for scalar in text._nfd {
            if (0x30...0x39).contains(scalar.value) || (0x61...0x7A).contains(scalar.value) {
                word.unicodeScalars.append(scalar)
                continue
            }
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

    /// Ideographs, Hiragana, Katakana, Thai, Lao, Khmer and Burmese letters.
    private static func hasNoSpaces(_ letter: Unicode.Scalar) -> Bool {
        if letter.properties.isIdeographic { return true }
        return switch letter.value {
        case 0x0E00...0x0EFF, 0x1000...0x109F, 0x1780...0x17FF, 0x3040...0x30FF, 0x31F0...0x31FF:
            true
        default: false
        }
    }
}

/// Messages that a search has found.
public struct SearchPage: Sendable {
    /// Newest first.
    public var messages: [Message]
    /// The `before` of the next page; nil if there is none.
    public var next: SequenceNumber?

    public init(messages: [Message] = [], next: SequenceNumber? = nil) {
        self.messages = messages
        self.next = next
    }
}
