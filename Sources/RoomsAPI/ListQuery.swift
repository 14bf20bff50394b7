internal import ChatModel
internal import Gateway
internal import HTTPWire

/// The requested part of the list.
struct ListQuery: Equatable {
    static let limits = 1...100

    var limit = 50
    /// Nil for the first page.
    var after: PageCursor?

    init(_ query: String?) throws(HTTPError) {
        let query = try QueryParameters(query)
        if let text = query["limit"] { self.limit = try Self.parseLimit(text) }
        if let text = query["cursor"] { self.after = try CatalogCursor.decode(text) }
    }

    /// Parses the page size of a query.
    static func parseLimit(_ text: String) throws(HTTPError) -> Int {
        guard let limit = Int(text), String(limit) == text, self.limits.contains(limit) else {
            throw .badRequest(
                "limit: must be a whole number from \(self.limits.lowerBound) "
                    + "to \(self.limits.upperBound)"
            )
        }
        return limit
    }
}
