internal import Bytes

extension HTTPRequestHead {
    /// The first value of that name in the query, decoded; an empty text for a name without `=`; nil when the name is not there.
    ///
    /// A plus sign is a space, as in forms. Throws 400, naming the parameter, when the value is no UTF-8.
    public func queryValue(_ name: StaticString, in bytes: RawSpan) throws(HTTPError) -> String? {
        guard let query = self.query else { return nil }
        var start = query.lowerBound
        while start <= query.upperBound {
            var end = start
            var equals: Int?
            while end < query.upperBound, bytes[byteAt: end] != UInt8(ascii: "&") {
                if equals == nil, bytes[byteAt: end] == UInt8(ascii: "=") { equals = end }
                end += 1
            }
            if Self.isName(name, at: start..<(equals ?? end), of: bytes) {
                let place = equals.map { $0 + 1..<end } ?? end..<end
                let value = bytes.extracting(place).withUnsafeBytes { PercentEncoding.decode($0, plusIsSpace: true) }
                guard let value else { throw .badRequest("The query parameter \(name) is not percent-encoded UTF-8.") }
                return value
            }
            start = end + 1
        }
        return nil
    }

    /// A name may be percent-encoded too, letter by letter.
    private static func isName(_ name: StaticString, at place: Range<Int>, of bytes: RawSpan) -> Bool {
        if bytes.matches(name, at: place) { return true }
        guard place.contains(where: { bytes[byteAt: $0] == UInt8(ascii: "%") }) else { return false }
        return bytes.extracting(place).withUnsafeBytes { PercentEncoding.decode($0, plusIsSpace: true) } == name.description
    }
}
