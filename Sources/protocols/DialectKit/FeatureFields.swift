internal import Bytes
public import ChatModel
internal import Identity
public import JSON

/// The fields of message features in a client's frame.
extension JSONDocument {
    /// `reply_to` and `mentions` of a message to send; nil if it has neither.
    ///
    /// - Parameters:
    ///   - replyTo: the message id in `reply_to`, which protocols write differently.
    ///   - isAdmin: whether the author's token grants admin rights.
    public func messageAnnotations(
        of object: JSONValue, in bytes: RawSpan, replyTo: SequenceNumber?, isAdmin: Bool
    ) throws(FieldError) -> MessageAnnotations? {
        let mentions = try self.mentions(of: object, in: bytes, isAdmin: isAdmin)
        // The initializer of a class allocates even if it returns nil, and most messages have
        // neither.
        guard replyTo != nil || mentions != nil else { return nil }
        return MessageAnnotations(reply: replyTo.map { Reply(to: $0) }, mentions: mentions)
    }

    /// `"all"`, or a list of user ids.
    private func mentions(of object: JSONValue, in bytes: RawSpan, isAdmin: Bool)
        throws(FieldError) -> Mentions?
    {
        guard let value = self.nonNullMember("mentions", of: object, in: bytes) else { return nil }
        if self.equals(value, "all", in: bytes) {
            return Mentions(includesEveryone: true, isByAdmin: isAdmin)
        }
        guard self.kind(of: value) == .array else {
            throw FieldError("mentions: must be \"all\" or an array of user ids")
        }
        if self.firstElement(of: value) == nil { return nil }
        let ids = try self.requiredStrings("mentions", of: object, in: bytes)
        guard ids.count <= Mentions.limit else {
            throw FieldError("mentions: more than \(Mentions.limit) users")
        }
        for id in ids where !IdentityRule.name.allows(id) {
            throw FieldError("mentions: each must be a user id")
        }
        return Mentions(users: ids.map { UserID(displayID: ByteString($0)) })
    }

    public func requiredEmoji(_ name: StaticString, of object: JSONValue, in bytes: RawSpan)
        throws(FieldError) -> Emoji
    {
        guard let emoji = Emoji(given: try self.requiredString(name, of: object, in: bytes)) else {
            throw FieldError(
                "\(name): must be one emoji, or a name between colons, "
                    + "of at most \(Emoji.byteLimit) bytes")
        }
        return emoji
    }

    /// The `cursor` with which a list of pinned messages continues; 0 for its beginning.
    public func pinCursor(of object: JSONValue, in bytes: RawSpan) throws(FieldError) -> Int {
        guard let text = try self.optionalString("cursor", of: object, in: bytes) else { return 0 }
        guard let cursor = Int(pinCursor: text) else { throw .pinCursor }
        return cursor
    }

    /// A search in one conversation: `text`, `before_id` and `limit`.
    public func searchRequest(
        in conversation: ConversationKey, of object: JSONValue, in bytes: RawSpan
    ) throws(FieldError) -> StoreRequest {
        let text = try self.requiredString("text", of: object, in: bytes)
        let query = try SearchQuery(field: "text", text)
        let before = try self.optionalMessageID("before_id", of: object, in: bytes)
        let limit = try self.optionalInteger("limit", within: 1...100, of: object, in: bytes) ?? 20
        return .search(conversation, query, before: before, limit: limit)
    }
}

extension SearchQuery {
    /// - Throws: an error that names the field.
    public init(field name: StaticString, _ text: String) throws(FieldError) {
        guard text.utf8.count <= Self.byteLimit else {
            throw FieldError("\(name): longer than \(Self.byteLimit) bytes")
        }
        guard let query = SearchQuery(text) else {
            throw FieldError("\(name): must contain a letter or a digit")
        }
        self = query
    }
}

extension FieldError {
    /// The error for a cursor that no list of pinned messages had.
    public static let pinCursor = FieldError("cursor: is not from this list")
}

extension Int {
    /// The `next_cursor` of a list of pinned messages; nil for another text.
    public init?(pinCursor text: String) {
        guard let number = Int(text), number > 0, String(number) == text else { return nil }
        self = number
    }
}
