/// Looks for the words of a search in the UTF-8 of a text, without an allocation.
///
/// Most texts have no place where the longest word could begin, which a comparison of eight bytes
/// at a time shows. Otherwise the matcher reads the text once, and compares its words as it folds
/// them.
struct SearchMatcher: Sendable {
    /// The folded scalars of all words, and where each word begins in them, with the end.
    private let scalars: [UInt32]
    private let starts: [Int]
    /// By the last byte of a word's first scalar: the number of a word plus 1, and for each word
    /// the next one with that byte. Otherwise every word of a text would be compared with all
    /// words of the search.
    private let heads: [UInt8]
    private let followers: [UInt8]
    /// The longest word that begins with two ASCII letters or digits.
    private let anchor: Int?

    /// A search text of `SearchQuery.byteLimit` bytes has no more words.
    private static let wordLimit = SearchQuery.byteLimit / 2

    private enum Comparison { case equal, different, undecided }

    /// Nil for more words than a search text can have.
    init?(_ words: [String]) {
        guard words.count <= Self.wordLimit else { return nil }
        var (scalars, starts, anchor) = ([UInt32](), [0], Int?.none)
        var heads = [UInt8](repeating: 0, count: 256)
        var followers: [UInt8] = []
        var anchorLength = 1
        for (number, word) in words.enumerated() {
            let letters = word.unicodeScalars.map(\.value)
            guard let first = letters.first else { return nil }
            followers.append(heads[Int(first & 0xFF)])
            heads[Int(first & 0xFF)] = UInt8(number + 1)
            scalars += letters
            starts.append(scalars.count)
            if letters.count > anchorLength, letters[0] < 0x80, letters[1] < 0x80 {
                (anchor, anchorLength) = (number, letters.count)
            }
        }
        self.scalars = scalars
        self.starts = starts
        self.heads = heads
        self.followers = followers
        self.anchor = anchor
    }

    /// Nil if the text has a scalar whose result depends on its neighbours.
    func matches(_ text: UnsafeRawBufferPointer) -> Bool? {
        self.scalars.withUnsafeBufferPointer { scalars in
            let scan = TextScan(text: text, scalars: scalars)
            if let anchor {
                switch scan.find(self.word(anchor)) {
                case .different: return false
                case .undecided: return nil
                case .equal: if self.starts.count == 2 { return true }
                }
            }
            return self.containsAll(scan)
        }
    }

    private func word(_ number: Int) -> SearchedWord {
        SearchedWord(
            start: self.starts[number], end: self.starts[number + 1],
            isWhole: number < self.starts.count - 2)
    }

    /// Reads the text once. Nil if it is undecided.
    private func containsAll(_ scan: TextScan) -> Bool? {
        var missing = UInt128.max >> UInt128(UInt128.bitWidth - (self.starts.count - 1))
        var (index, isInWord) = (0, false)
        while index < scan.text.count {
            let (value, length) = scan.text.scalar(at: index)
            let folded = scan.folding[value]
            switch folded.kind {
            case .separator: isInWord = false
            case .mark: break
            case .contextual: return nil
            case .letters, .syllable, .word:
                let isWord = folded.kind == .word
                if isWord || !isInWord {
                    let first =
                        folded.kind == .syllable ? HangulSyllable.letters(value).0 : folded.first
                    var number = Int(self.heads[Int(first & 0xFF)])
                    while number > 0 {
                        let bit = UInt128(1) << UInt128(number - 1)
                        if missing & bit != 0 {
                            switch scan.compare(self.word(number - 1), at: index) {
                            case .equal:
                                missing &= ~bit
                                if missing == 0 { return true }
                            case .different: break
                            case .undecided: return nil
                            }
                        }
                        number = Int(self.followers[number - 1])
                    }
                }
                isInWord = !isWord
            }
            index += length
        }
        return false
    }

    /// A word of the search.
    private struct SearchedWord {
        /// Its place in the scalars of all words.
        let start: Int
        let end: Int
        /// Whether the word of the text must end where this one ends.
        let isWhole: Bool
    }

    private struct TextScan {
        let text: UnsafeRawBufferPointer
        let scalars: UnsafeBufferPointer<UInt32>
        let folding = SearchFolding.shared

        /// Looks for a word that begins with two ASCII letters or digits.
        func find(_ word: SearchedWord) -> Comparison {
            let first = UInt8(truncatingIfNeeded: self.scalars[word.start])
            let second = UInt8(truncatingIfNeeded: self.scalars[word.start + 1])
            let firsts = UInt64(first) &* 0x0101_0101_0101_0101
            let seconds = UInt64(second) &* 0x0101_0101_0101_0101
            var index = 0
            while index + 8 < self.text.count {
                let here = self.text.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                let next = self.text.loadUnaligned(fromByteOffset: index + 1, as: UInt64.self)
                var candidates =
                    Self.candidates(UInt64(littleEndian: here), firsts)
                    & Self.candidates(UInt64(littleEndian: next), seconds)
                while candidates != 0 {
                    let place = index + candidates.trailingZeroBitCount / 8
                    let result = self.compareWord(word, at: place)
                    if result != .different { return result }
                    candidates &= candidates - 1
                }
                index += 8
            }
            while index + 1 < self.text.count {
                let result = self.compareWord(word, at: index)
                if result != .different { return result }
                index += 1
            }
            return .different
        }

        /// The highest bit of each byte that may be this letter in any case, or that is part of
        /// another script's or accented letter. Some other bytes behind a letter have the bit too.
        @inline(__always)
        private static func candidates(_ bytes: UInt64, _ letters: UInt64) -> UInt64 {
            let differences = (bytes | 0x2020_2020_2020_2020) ^ letters
            let equal = (differences &- 0x0101_0101_0101_0101) & ~differences
            return (equal | bytes) & 0x8080_8080_8080_8080
        }

        /// Compares a word with the one that begins at a byte, if one begins there.
        @inline(__always)
        private func compareWord(_ word: SearchedWord, at start: Int) -> Comparison {
            guard self.text[start] & 0xC0 != 0x80 else { return .different }
            let (value, _) = self.text.scalar(at: start)
            let folded = self.folding[value]
            if folded.kind == .contextual { return .undecided }
            // No other kind begins with an ASCII letter.
            guard folded.kind == .letters, folded.first == self.scalars[word.start] else {
                return .different
            }
            var end = start
            while end > 0 {
                let (value, length) = self.text.scalar(before: end)
                switch self.folding[value].kind {
                case .mark: end -= length
                case .letters, .syllable: return .different
                case .contextual: return .undecided
                case .separator, .word: return self.compare(word, at: start)
                }
            }
            return self.compare(word, at: start)
        }

        /// Compares a word with the one that begins at a byte.
        func compare(_ word: SearchedWord, at start: Int) -> Comparison {
            var (index, position) = (start, word.start)
            while index < self.text.count {
                let (value, length) = self.text.scalar(at: index)
                let folded = self.folding[value]
                switch folded.kind {
                case .separator: return position == word.end ? .equal : .different
                case .mark: break
                case .contextual: return .undecided
                case .word:
                    guard index == start else { return position == word.end ? .equal : .different }
                    return word.end == word.start + 1 && self.scalars[word.start] == folded.first
                        ? .equal : .different
                case .letters:
                    if let end = self.compare(folded.first, with: word, &position) { return end }
                    if folded.second != 0,
                        let end = self.compare(folded.second, with: word, &position)
                    {
                        return end
                    }
                case .syllable:
                    let letters = HangulSyllable.letters(value)
                    if let end = self.compare(letters.0, with: word, &position) { return end }
                    if let end = self.compare(letters.1, with: word, &position) { return end }
                    if letters.2 != 0, let end = self.compare(letters.2, with: word, &position) {
                        return end
                    }
                }
                index += length
            }
            return position == word.end ? .equal : .different
        }

        /// Compares the next letter of the text. Nil if the word goes on.
        @inline(__always)
        private func compare(_ letter: UInt32, with word: SearchedWord, _ position: inout Int)
            -> Comparison?
        {
            guard position < word.end else {
                guard !word.isWhole, self.separates(word, from: letter) else { return .different }
                return .equal
            }
            guard self.scalars[position] == letter else { return .different }
            position += 1
            return nil
        }

        /// Whether a character ends between the word and a letter behind it: a beginning of a word
        /// consists of whole characters.
        private func separates(_ word: SearchedWord, from letter: UInt32) -> Bool {
            // Latin, Greek, Cyrillic and Armenian letters: only marks would join them.
            if letter < 0x590, self.scalars[word.end - 1] < 0x590 { return true }
            var text = String.UnicodeScalarView()
            for index in word.start..<word.end {
                if let scalar = Unicode.Scalar(self.scalars[index]) { text.append(scalar) }
            }
            let count = String(text).count
            if let scalar = Unicode.Scalar(letter) { text.append(scalar) }
            return String(text).count > count
        }
    }
}
