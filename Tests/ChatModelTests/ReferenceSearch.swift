import Foundation
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
        for scalar in Self.decomposed(text)._nfd {
            switch scalar.properties.generalCategory {
            case .nonspacingMark, .enclosingMark:
                continue
            case .otherLetter where Self.hasNoSpaces(scalar):
                if !word.isEmpty { words.append(word) }
                words.append(String(scalar))
                word = ""
            case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter,
                .otherLetter, .decimalNumber, .letterNumber, .otherNumber, .spacingMark:
                word += Self.folded(scalar)
            default:
                if !word.isEmpty { words.append(word) }
                word = ""
            }
        }
        if !word.isEmpty { words.append(word) }
        return words
    }

    /// Every letter with its compatible ones, unless they have symbols or spaces between them.
    private static func decomposed(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { result, scalar in
            let isKept =
                switch scalar.value {
                // Thai and Lao am, single letters of Hangul.
                case 0xE33, 0xEB3, 0x3131...0x318E, 0xFFA0...0xFFDC: true
                default: !Self.counts(scalar)
                }
            let form = String(scalar).decomposedStringWithCompatibilityMapping.unicodeScalars
            result.unicodeScalars.append(
                contentsOf: isKept || !form.allSatisfy(Self.counts) ? [scalar] : Array(form))
        }
    }

    private static func counts(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .uppercaseLetter, .lowercaseLetter, .titlecaseLetter,
            .modifierLetter, .otherLetter, .decimalNumber, .letterNumber, .otherNumber,
            .spacingMark:
            true
        default: false
        }
    }

    private static func folded(_ letter: Unicode.Scalar) -> String {
        let folded = letter.properties.lowercaseMapping.uppercased().lowercased()
        let latin = [
            "æ": "ae", "œ": "oe", "ð": "d", "þ": "th",
        ]
        return folded.unicodeScalars.map { letter in
            if let known = latin[String(letter)] { return known }
            let words = (letter.properties.name ?? "").split(separator: " ")
            guard letter.value > 0x7F, words.count > 5,
                words[..<3] == ["LATIN", "SMALL", "LETTER"], words[3].count == 1,
                words[4] == "WITH"
            else { return String(letter) }
            return words[3].lowercased()
        }.joined()
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
