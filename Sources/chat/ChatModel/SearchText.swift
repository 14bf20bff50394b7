@_spi(_Unicode) import Swift

/// The words of a text as a search compares them.
public enum SearchText {
    /// Without the differences of case, of accents, and of compatible forms such as fullwidth
    /// letters, in the order of the text.
    ///
    /// - Important: other words for the same text need another `SearchIndexRows.format`.
    public static func words(of text: String) -> [String] {
        var text = text
        let words = text.withUTF8 { self.words(of: UnsafeRawBufferPointer($0)) }
        return words ?? self.exactWords(of: text)
    }

    /// Nil if the text has a contextual scalar.
    private static func words(of text: UnsafeRawBufferPointer) -> [String]? {
        let folding = SearchFolding.shared
        var (words, word) = ([String](), String.UnicodeScalarView())
        func endWord() {
            guard !word.isEmpty else { return }
            words.append(String(word))
            word.removeAll(keepingCapacity: true)
        }
        func append(_ letter: UInt32) {
            if letter != 0, let scalar = Unicode.Scalar(letter) { word.append(scalar) }
        }
        var index = 0
        while index < text.count {
            let (value, length) = text.scalar(at: index)
            let folded = folding[value]
            index += length
            switch folded.kind {
            case .separator: endWord()
            case .mark: continue
            case .letters:
                append(folded.first)
                append(folded.second)
            case .word:
                endWord()
                append(folded.first)
                endWord()
            case .syllable:
                let letters = HangulSyllable.letters(value)
                append(letters.0)
                append(letters.1)
                append(letters.2)
            case .contextual: return nil
            }
        }
        endWord()
        return words
    }

    /// The words by their definition: of a decomposed text.
    ///
    /// Twenty times slower than the table, because it reads the properties of every scalar.
    static func exactWords(of text: String) -> [String] {
        let folding = SearchFolding.shared
        var words: [String] = []
        var word = ""
        for scalar in self.decomposed(text) {
            switch self.role(of: scalar) {
            case .mark: continue
            case .word:
                if !word.isEmpty { words.append(word) }
                words.append(String(scalar))
                word = ""
            case .letter:
                let folded = folding[scalar.value]
                if folded.kind == .letters {
                    for value in [folded.first, folded.second] where value != 0 {
                        if let letter = Unicode.Scalar(value) {
                            word.unicodeScalars.append(letter)
                        }
                    }
                } else {
                    word += self.letters(of: scalar)
                }
            case .separator:
                if !word.isEmpty { words.append(word) }
                word = ""
            }
        }
        if !word.isEmpty { words.append(word) }
        return words
    }

    /// The compatibility decomposition (NFKD, UAX #15) of all letters in `CompatibilityForms`, and
    /// the canonical one (NFD) of the others.
    private static func decomposed(_ text: String) -> some Sequence<Unicode.Scalar> {
        var compatible = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            if let form = CompatibilityForms.forms[scalar] {
                compatible.append(contentsOf: form)
            } else {
                compatible.append(scalar)
            }
        }
        return String(compatible)._nfd
    }

    /// The searched form of a decomposed letter: with full case folding, which is the lower case of
    /// the upper case of the lower case, and without the strokes and hooks of Latin letters, which
    /// are no marks of their own.
    private static func letters(of letter: Unicode.Scalar) -> String {
        letter.properties.lowercaseMapping.uppercased().lowercased().unicodeScalars
            .reduce(into: "") { $0 += self.withoutStroke($1) }
    }

    private static func withoutStroke(_ letter: Unicode.Scalar) -> String {
        // Letters that people write so if their keyboard does not have them.
        switch letter {
        case "æ": return "ae"
        case "œ": return "oe"
        case "ð": return "d"
        case "þ": return "th"
        default: break
        }
        // Such as LATIN SMALL LETTER L WITH STROKE.
        let beginning = "LATIN SMALL LETTER "
        guard !letter.isASCII, let name = letter.properties.name, name.hasPrefix(beginning) else {
            return String(letter)
        }
        let rest = name.dropFirst(beginning.count)
        return rest.dropFirst().hasPrefix(" WITH ") ? rest.prefix(1).lowercased() : String(letter)
    }

    private enum ScalarRole { case separator, mark, letter, word }

    private static func role(of scalar: Unicode.Scalar) -> ScalarRole {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark: .mark
        case .otherLetter where self.hasNoSpaces(scalar): .word
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter,
            .decimalNumber, .letterNumber, .otherNumber, .spacingMark:
            .letter
        default: .separator
        }
    }

    /// The folding of a scalar by `exactWords`, wherever it stands.
    static func folded(_ scalar: Unicode.Scalar) -> FoldedScalar {
        if HangulSyllable.range.contains(scalar.value) { return FoldedScalar(.syllable) }
        var letters: [UInt32] = []
        var roles: Set<ScalarRole> = []
        for part in self.decomposed(String(scalar)) {
            let role = self.role(of: part)
            // Normalization sorts marks by their class. The order of those that count depends on
            // their neighbours.
            if role != .mark, part.properties.canonicalCombiningClass != .notReordered {
                return FoldedScalar(.contextual)
            }
            if role != .mark { roles.insert(role) }
            switch role {
            case .letter:
                for letter in self.letters(of: part).unicodeScalars {
                    guard letter.properties.canonicalCombiningClass == .notReordered else {
                        return FoldedScalar(.contextual)
                    }
                    letters.append(letter.value)
                }
            case .word: letters.append(part.value)
            case .separator, .mark: break
            }
        }
        switch (roles.first, roles.count, letters.count) {
        case (nil, _, _): return FoldedScalar(.mark)
        case (.separator, 1, _): return FoldedScalar(.separator)
        case (.letter, 1, 1): return FoldedScalar(.letters, letters[0])
        case (.letter, 1, 2): return FoldedScalar(.letters, letters[0], letters[1])
        case (.word, 1, 1): return FoldedScalar(.word, letters[0])
        default: return FoldedScalar(.contextual)
        }
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
