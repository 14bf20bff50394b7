internal import Bytes

/// Iterates over the parts of a query: names and values, still percent-encoded (URL Standard
/// section 5.1).
public struct HTTPQueryParts {
    private var start: Int
    private let end: Int

    /// - Parameter range: the position of the query, without its question mark.
    public init(_ range: Range<Int>) {
        self.start = range.lowerBound
        self.end = range.upperBound
    }

    /// The ranges of the next name and value. The value is empty if there is no `=`. Nil at the
    /// end. Empty parts are skipped.
    public mutating func next(in bytes: RawSpan) -> (name: Range<Int>, value: Range<Int>)? {
        while self.start < self.end {
            let part =
                self
                .start..<(bytes.first(UInt8(ascii: "&"), from: self.start, to: self.end)
                ?? self.end)
            self.start = part.upperBound + 1
            guard !part.isEmpty else { continue }
            let sign =
                bytes.first(UInt8(ascii: "="), from: part.lowerBound, to: part.upperBound)
                ?? part.upperBound
            return (part.lowerBound..<sign, min(sign + 1, part.upperBound)..<part.upperBound)
        }
        return nil
    }
}

extension RawSpan {
    /// Decodes a name or a value of a query. A plus sign is a space, as in forms. Nil if the text
    /// is not percent-encoded UTF-8.
    public func queryText(at range: Range<Int>) -> String? {
        self.extracting(range).withUnsafeBytes { PercentEncoding.decode($0, plusIsSpace: true) }
    }
}
