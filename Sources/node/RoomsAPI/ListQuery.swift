internal import ChatModel
internal import Gateway
internal import HTTPWire

/// The requested part of the list.
struct ListQuery: Equatable {
    static let limits = 1...100

    var limit = 50
    /// Nil for the first page.
    var after: PageCursor?
    /// Only the conversations in which the user is a member, newest activity first.
    var isOwn = false
    /// Also own conversations that have ended.
    var includesEnded = false

    init(_ query: String?) throws(HTTPError) {
        let query = try QueryParameters(query)
        if let text = query["limit"] { self.limit = try Self.parsePageLimit(text) }
        if let text = query["cursor"] { self.after = try CatalogCursor.decode(text) }
        self.isOwn = try Self.parseFlag(query["mine"], of: "mine")
        self.includesEnded = try Self.parseFlag(query["ended"], of: "ended")
        guard self.isOwn || !self.includesEnded else {
            throw .badRequest("ended: needs mine=true beside it")
        }
    }

    private static func parseFlag(_ text: String?, of name: String) throws(HTTPError) -> Bool {
        switch text {
        case nil, "false": false
        case "true": true
        default: throw .badRequest("\(name): must be true or false")
        }
    }

    /// Parses the page size of a list of conversations or messages.
    static func parsePageLimit(_ text: String) throws(HTTPError) -> Int {
        try self.parseLimit(text, within: self.limits)
    }

    /// Parses the page size of a query.
    static func parseLimit(_ text: String, within limits: ClosedRange<Int>)
        throws(HTTPError) -> Int
    {
        guard let limit = Int(text), String(limit) == text, limits.contains(limit) else {
            throw .badRequest(
                "limit: must be a whole number from \(limits.lowerBound) to \(limits.upperBound)")
        }
        return limit
    }
}
