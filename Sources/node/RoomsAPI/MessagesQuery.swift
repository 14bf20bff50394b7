internal import ChatModel
internal import DialectKit
internal import Gateway
internal import HTTPWire

/// The requested messages of a conversation.
struct MessagesQuery: Equatable {
    var limit = 50
    var range = PageRange.newest
    /// The root, for the messages of a thread.
    var thread: SequenceNumber?
    var search: SearchQuery?

    init(_ query: String?) throws(HTTPError) {
        let query = try QueryParameters(query)
        if let text = query["limit"] { self.limit = try ListQuery.parsePageLimit(text) }
        let before = try Self.parseMessageID(query["before"], of: "before")
        let after = try Self.parseMessageID(query["after"], of: "after")
        guard before == nil || after == nil else {
            throw .badRequest("after: cannot be combined with before")
        }
        self.thread = try Self.parseMessageID(query["thread"], of: "thread")
        if let text = query["search"] {
            guard after == nil else { throw .badRequest("after: cannot be combined with search") }
            guard self.thread == nil else {
                throw .badRequest("thread: cannot be combined with search")
            }
            self.search = try Self.parseSearch(text, of: "search")
        }
        self.range = after.map { .after($0) } ?? before.map { .before($0) } ?? .newest
    }

    static func parseSearch(_ text: String, of name: StaticString) throws(HTTPError) -> SearchQuery
    {
        do throws(FieldError) {
            return try SearchQuery(field: name, text)
        } catch {
            throw .badRequest(error.description)
        }
    }

    /// The position of a search.
    var before: SequenceNumber? {
        if case .before(let sequence) = self.range { sequence } else { nil }
    }

    private static func parseMessageID(_ text: String?, of name: String) throws(HTTPError)
        -> SequenceNumber?
    {
        guard let text else { return nil }
        guard let sequence = MessageID.sequence(text) else {
            throw .badRequest("\(name): must be a message id")
        }
        return sequence
    }
}
