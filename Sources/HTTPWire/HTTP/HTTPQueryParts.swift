internal import Bytes

/// The parts of a query, one after the other: names and values, still percent-encoded (URL Standard section 5.1).
public struct HTTPQueryParts {
    private var start: Int
    private let end: Int

    /// - Parameter place: where the query stands, without its question mark.
    public init(_ place: Range<Int>) {
        self.start = place.lowerBound
        self.end = place.upperBound
    }

    /// The places of the next part's name and value, which is empty where there is no `=`; nil at the end. Empty parts are passed over.
    public mutating func next(in bytes: RawSpan) -> (name: Range<Int>, value: Range<Int>)? {
        while self.start < self.end {
            let part =
                self
                .start..<(bytes.first(UInt8(ascii: "&"), from: self.start, to: self.end) ?? self.end)
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
    /// What a name or a value of a query says: decoded, a plus sign being a space as in forms; nil where it is no percent-encoded UTF-8.
    public func queryText(at place: Range<Int>) -> String? {
        self.extracting(place).withUnsafeBytes { PercentEncoding.decode($0, plusIsSpace: true) }
    }
}
