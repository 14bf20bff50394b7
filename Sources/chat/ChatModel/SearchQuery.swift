/// The words of a search. A text matches if it contains all of them: each as a whole word, the last
/// one as the beginning of a word (PROTOCOLS, "Search").
///
/// Case and accents do not count. In scripts without spaces between words, such as Chinese and
/// Japanese, every character is a word. Everything but letters and digits separates words, so a
/// search has no operators.
public struct SearchQuery: Sendable, Equatable {
    /// Folded; never empty.
    public let words: [String]
    /// Nil for more words than `byteLimit` allows.
    private let matcher: SearchMatcher?

    /// The most bytes of a search text.
    public static let byteLimit = 256

    /// Nil if the text has no word.
    public init?(_ text: String) {
        self.words = SearchText.words(of: text)
        if self.words.isEmpty { return nil }
        self.matcher = SearchMatcher(self.words)
    }

    public static func == (left: SearchQuery, right: SearchQuery) -> Bool {
        left.words == right.words
    }

    public func matches(_ content: String) -> Bool {
        var content = content
        return content.withUTF8 { self.matches(utf8: UnsafeRawBufferPointer($0)) }
    }

    /// Whether a text matches, given its UTF-8.
    public func matches(utf8 content: UnsafeRawBufferPointer) -> Bool {
        if let matches = self.matcher?.matches(content) { return matches }
        return self.matches(SearchText.exactWords(of: String(decoding: content, as: UTF8.self)))
    }

    private func matches(_ words: [String]) -> Bool {
        guard let last = self.words.last, words.contains(where: { $0.hasPrefix(last) }) else {
            return false
        }
        return self.words.dropLast().allSatisfy(words.contains)
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

    /// The `before` of the next page, for a reader that is shown only the first of the messages.
    public func next(afterShowing count: Int) -> SequenceNumber? {
        count < self.messages.count ? self.messages.prefix(count).last?.sequence : self.next
    }
}
