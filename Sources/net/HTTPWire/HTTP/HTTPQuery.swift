extension HTTPRequestHead {
    /// The decoded value of the first query parameter with this name. An empty text for a name
    /// without `=`. Nil if there is no such parameter.
    ///
    /// A plus sign is a space, as in forms. Throws 400 with the parameter's name if the value is
    /// not UTF-8.
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

    /// The name in the query may be percent-encoded as well.
    private static func isName(_ name: StaticString, at range: Range<Int>, of bytes: RawSpan)
        -> Bool
    {
        if bytes.matches(name, at: range) { return true }
        guard range.contains(where: { bytes[byteAt: $0] == UInt8(ascii: "%") }) else {
            return false
        }
        return bytes.queryText(at: range) == name.description
    }
}
