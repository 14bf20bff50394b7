public import HTTPWire

/// The decoded parameters of a query. If a name repeats, the last value counts.
public struct QueryParameters: Sendable {
    private var values: [String: String] = [:]

    public init(_ text: String?) throws(HTTPError) {
        var text = text ?? ""
        text.makeContiguousUTF8()
        let bytes = text.utf8Span.span.bytes
        var parts = HTTPQueryParts(0..<bytes.byteCount)
        while let part = parts.next(in: bytes) {
            guard let name = bytes.queryText(at: part.name),
                let value = bytes.queryText(at: part.value)
            else {
                throw .badRequest("The query is not percent-encoded UTF-8.")
            }
            self.values[name] = value
        }
    }

    public subscript(name: String) -> String? { self.values[name] }

    /// All parameters, by name.
    public var all: [String: String] { self.values }
}
