internal import ChatModel
internal import Gateway
internal import HTTPWire

/// Which part of the list is asked for.
struct ListWish: Equatable {
    static let limits = 1...100

    var limit = 50
    /// Nil: from the newest on.
    var after: ListPlace?

    init(_ query: String?) throws(HTTPError) {
        let query = try SiteQuery(query)
        if let text = query["limit"] {
            guard let limit = Int(text), String(limit) == text, Self.limits.contains(limit) else {
                throw .badRequest("limit: must be a whole number from \(Self.limits.lowerBound) to \(Self.limits.upperBound)")
            }
            self.limit = limit
        }
        if let text = query["cursor"] { self.after = try CatalogCursor.place(text) }
    }
}
