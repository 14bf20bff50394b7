extension String {
    /// The parts of the text between the occurrences of `separator`, also empty ones.
    ///
    /// The standard library's `split(separator:)` for several characters belongs to its module of
    /// regular expressions, which would add a megabyte to the program.
    ///
    /// - Parameter separator: at least one character; compared byte by byte.
    public func parts(separatedBy separator: String) -> [Substring] {
        precondition(!separator.isEmpty, "An empty separator separates nothing.")
        var parts: [Substring] = []
        var start = self.startIndex
        var index = start
        while index < self.endIndex {
            if self.utf8[index...].starts(with: separator.utf8) {
                parts.append(self[start..<index])
                index = self.utf8.index(index, offsetBy: separator.utf8.count)
                start = index
            } else {
                index = self.utf8.index(after: index)
            }
        }
        return parts + [self[start...]]
    }

    /// Whether the text contains another one; compared byte by byte. See `parts(separatedBy:)`.
    public func includes(_ text: String) -> Bool { self.parts(separatedBy: text).count > 1 }
}
