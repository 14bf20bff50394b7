/// Suggests corrections for mistyped words.
enum Spelling {
    /// The word most similar to `text`, if it is similar enough.
    static func nearest(to text: String, among words: some Sequence<String>) -> String? {
        guard text.utf8.count <= 64 else { return nil }
        var best: (word: String, distance: Int)?
        for word in words {
            let distance = self.distance(text.lowercased(), word)
            let isLonger = text.utf8.count >= 3 && word.hasPrefix(text)
            guard isLonger || distance <= max(1, min(text.utf8.count, word.utf8.count) / 3) else {
                continue
            }
            if best.map({ distance < $0.distance }) ?? true { best = (word, distance) }
        }
        return best?.word
    }

    /// The restricted Damerau-Levenshtein distance: the number of insertions, deletions,
    /// replacements and swaps of neighbours.
    static func distance(_ left: String, _ right: String) -> Int {
        let left = Array(left.utf8)
        let right = Array(right.utf8)
        var before: [Int] = []
        var last = Array(0...right.count)
        for row in left.indices {
            var line = [row + 1]
            for column in right.indices {
                let isSame = left[row] == right[column]
                var best = min(
                    last[column] + (isSame ? 0 : 1), last[column + 1] + 1, line[column] + 1)
                if row > 0, column > 0, left[row] == right[column - 1],
                    left[row - 1] == right[column]
                {
                    best = min(best, before[column - 1] + 1)
                }
                line.append(best)
            }
            before = last
            last = line
        }
        return last[right.count]
    }
}
