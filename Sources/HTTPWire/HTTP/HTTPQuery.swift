extension HTTPRequestHead {
    /// The first value of that name in the query, decoded; an empty text for a name without `=`; nil when the name is not there.
    ///
    /// A plus sign is a space, as in forms. Throws 400, naming the parameter, when the value is no UTF-8.
    public func queryValue(_ name: StaticString, in bytes: RawSpan) throws(HTTPError) -> String? {
        guard let query = self.query else { return nil }
        var parts = HTTPQueryParts(query)
        while let part = parts.next(in: bytes) {
            guard Self.isName(name, at: part.name, of: bytes) else { continue }
            guard let value = bytes.queryText(at: part.value) else {
                throw .badRequest("The query parameter \(name) is not percent-encoded UTF-8.")
            }
            return value
        }
        return nil
    }

    /// A name may be percent-encoded too, letter by letter.
    private static func isName(_ name: StaticString, at place: Range<Int>, of bytes: RawSpan)
        -> Bool
    {
        if bytes.matches(name, at: place) { return true }
        guard place.contains(where: { bytes[byteAt: $0] == UInt8(ascii: "%") }) else {
            return false
        }
        return bytes.queryText(at: place) == name.description
    }
}
