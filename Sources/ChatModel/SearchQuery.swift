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
    /// The words' UTF-8.
    private let bytes: [[UInt8]]

    /// The most bytes of a search text.
    public static let byteLimit = 256

    /// Nil if the text has no word.
    public init?(_ text: String) {
        self.words = SearchText.words(of: text)
        self.bytes = self.words.map { Array($0.utf8) }
        if self.words.isEmpty { return nil }
    }

    public func matches(_ content: String) -> Bool {
        var content = content
        return content.withUTF8 { self.matches(utf8: UnsafeRawBufferPointer($0)) }
    }

    /// Whether a text matches, given its UTF-8. ASCII text is compared as it is scanned, without an
    /// allocation.
    public func matches(utf8 content: UnsafeRawBufferPointer) -> Bool {
        // No early exit, so that the compiler can vectorize it.
        var all: UInt8 = 0
        for byte in content { all |= byte }
        guard all < 0x80, self.bytes.count <= UInt64.bitWidth else {
            return self.matches(SearchText.words(of: String(decoding: content, as: UTF8.self)))
        }
        return self.bytes.withUnsafeBufferPointer { Self.contains(content, $0) }
    }

    private func matches(_ words: [String]) -> Bool {
        guard let last = self.words.last, words.contains(where: { $0.hasPrefix(last) }) else {
            return false
        }
        return self.words.dropLast().allSatisfy(words.contains)
    }

    /// Whether an ASCII text contains all words.
    private static func contains(
        _ text: UnsafeRawBufferPointer, _ words: UnsafeBufferPointer<[UInt8]>
    ) -> Bool {
        var missing = UInt64.max >> UInt64(UInt64.bitWidth - words.count)
        // A bit for the first letter of each word: most words of a text begin otherwise.
        var initials: UInt64 = 0
        for word in words { initials |= self.initial(word[0]) }
        var index = 0
        while index < text.count {
            guard self.isWordByte(text[index]) else {
                index += 1
                continue
            }
            if initials & self.initial(self.folded(text[index])) != 0 {
                for number in words.indices
                where missing & 1 << UInt64(number) != 0
                    && self.begins(text, index, words[number], isWhole: number < words.count - 1)
                {
                    missing &= ~(1 << UInt64(number))
                    if missing == 0 { return true }
                }
            }
            repeat { index += 1 } while index < text.count && self.isWordByte(text[index])
        }
        return false
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26
    }

    private static func folded(_ byte: UInt8) -> UInt8 { byte < 0x41 ? byte : byte | 0x20 }

    /// Digits and small letters have different bits, except for some pairs.
    private static func initial(_ byte: UInt8) -> UInt64 { 1 << UInt64(byte & 0x3F) }

    /// Whether the letters and digits at this position are these, in any case.
    ///
    /// - Parameter isWhole: whether no letter or digit may follow.
    private static func begins(
        _ text: UnsafeRawBufferPointer, _ start: Int, _ word: [UInt8], isWhole: Bool
    ) -> Bool {
        guard word.count <= text.count - start else { return false }
        for (offset, expected) in word.enumerated()
        where self.folded(text[start + offset]) != expected {
            return false
        }
        let end = start + word.count
        return !isWhole || end == text.count || !self.isWordByte(text[end])
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
