internal import Bytes
public import HTTPWire

/// The parameters of a query, decoded; of several with the same name the last one counts.
public struct SiteQuery: Sendable {
    private var values: [String: String] = [:]

    public init(_ text: String?) throws(HTTPError) {
        for part in (text ?? "").utf8.split(separator: UInt8(ascii: "&")) {
            let pair = part.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = PercentEncoding.decode(pair[0], plusIsSpace: true),
                let value = PercentEncoding.decode(pair.count == 2 ? pair[1] : pair[0].dropFirst(pair[0].count), plusIsSpace: true)
            else { throw .badRequest("The query is not percent-encoded UTF-8.") }
            self.values[name] = value
        }
    }

    public subscript(name: String) -> String? { self.values[name] }
}
