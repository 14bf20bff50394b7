internal import ChatModel
internal import DialectKit
internal import Gateway
internal import HTTPWire

/// The requested messages of a conversation.
struct MessagesQuery: Equatable {
    var limit = 50
    var range = PageRange.newest

    init(_ query: String?) throws(HTTPError) {
        let query = try QueryParameters(query)
        if let text = query["limit"] { self.limit = try ListQuery.parseLimit(text) }
        let before = try Self.parseMessageID(query["before"], of: "before")
        let after = try Self.parseMessageID(query["after"], of: "after")
        guard before == nil || after == nil else {
            throw .badRequest("after: cannot stand beside before")
        }
        self.range = after.map { .after($0) } ?? before.map { .before($0) } ?? .newest
    }

    private static func parseMessageID(_ text: String?, of name: String) throws(HTTPError)
        -> SequenceNumber?
    {
        guard let text else { return nil }
        guard let sequence = MessageID.sequence(text) else {
            throw .badRequest("\(name): is no message id")
        }
        return sequence
    }
}
