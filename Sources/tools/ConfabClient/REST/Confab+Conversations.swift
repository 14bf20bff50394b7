import JSON

/// Conversations over the REST API, for the user of the client's token.
///
/// Requests use no connection of a conversation. A request whose answer was lost may have been
/// carried out: `unavailable` is no proof that nothing has changed.
extension Confab {
    /// A user that is added to a conversation.
    public struct AddedMember: Sendable, ExpressibleByStringLiteral {
        public let user: String
        /// For a user whose name the server does not know; by default the id.
        public let name: String?

        public init(_ user: String, name: String? = nil) {
            self.user = user
            self.name = name
        }

        public init(stringLiteral user: String) { self.init(user) }

        var tree: JSONTree {
            .object(given: [
                ("user_id", .string(self.user)), ("username", self.name.map { .string($0) }),
            ])
        }
    }

    /// Creates a conversation. The result has the `link` to join.
    ///
    /// - Parameters:
    ///   - access: who may join; by default the server's `--default-access`.
    ///   - listed: whether users who are no members find it in the list; by default not.
    ///   - members: up to 100 users.
    ///   - onlyCreatorPins: whether only the creator and admins may pin messages.
    public func create(
        title: String, description: String = "", access: ConversationAccess? = nil,
        listed: Bool? = nil, members: [AddedMember] = [], onlyCreatorPins: Bool = false
    ) async throws(ConfabError) -> ConversationInfo {
        let body = JSONTree.object(given: [
            ("title", .string(title)), ("description", .string(description)),
            ("pin_policy", onlyCreatorPins ? "creator" : nil),
            ("access", access.map { .string($0.rawValue) }), ("listed", listed.map { .bool($0) }),
            ("members", members.isEmpty ? nil : .array(members.map(\.tree))),
        ])
        let answer = try await self.rest.send(
            RESTRequest("POST", "/conversations/create", body))
        var info = try Self.info(answer)
        info.link = answer["link"]?.stringValue
        return info
    }

    /// A page of the conversations that the user may find, newest first.
    ///
    /// - Parameters:
    ///   - mine: only those in which the user is a member, newest activity first.
    ///   - ended: with `mine`, also those that were ended.
    ///   - limit: 1 to 100.
    ///   - cursor: `nextCursor` of the page before.
    public func list(
        mine: Bool = false, ended: Bool = false, limit: Int = 50, cursor: String? = nil
    ) async throws(ConfabError) -> ConversationPage {
        let request = RESTRequest("GET", "/conversations", needsToken: mine)
            .setting("limit", to: String(limit)).setting("cursor", to: cursor)
            .setting("mine", to: mine ? "true" : nil).setting("ended", to: ended ? "true" : nil)
        return ConversationPage(try await self.rest.send(request))
    }

    /// Changes a conversation, for its creator and admins. Closing it removes no member, and takes
    /// it out of the list.
    public func update(
        _ id: String, title: String? = nil, description: String? = nil,
        access: ConversationAccess? = nil, listed: Bool? = nil
    ) async throws(ConfabError) -> ConversationInfo {
        let body = JSONTree.object(given: [
            ("title", title.map { .string($0) }), ("description", description.map { .string($0) }),
            ("access", access.map { .string($0.rawValue) }), ("listed", listed.map { .bool($0) }),
        ])
        return try Self.info(try await self.rest.send(RESTRequest("PATCH", of: id, [], body)))
    }

    /// Makes the user a participant of an open conversation.
    @discardableResult
    public func join(_ id: String) async throws(ConfabError) -> ConversationInfo {
        try Self.info(
            try await self.rest.send(RESTRequest("POST", of: id, ["join"], .object([]))))
    }

    /// Ends the user's membership.
    public func leave(_ id: String) async throws(ConfabError) {
        _ = try await self.rest.send(RESTRequest("POST", of: id, ["leave"], .object([])))
    }

    /// A page of the members, for members.
    ///
    /// - Parameters:
    ///   - limit: 1 to 1,000.
    ///   - cursor: `nextCursor` of the page before.
    public func members(_ id: String, limit: Int = 100, cursor: String? = nil)
        async throws(ConfabError) -> ConversationMembers
    {
        let request = RESTRequest("GET", of: id, ["members"])
            .setting("limit", to: String(limit)).setting("cursor", to: cursor)
        return ConversationMembers(try await self.rest.send(request))
    }

    /// Adds a member, for the creator and admins.
    public func addMember(_ member: AddedMember, to id: String) async throws(ConfabError) {
        _ = try await self.rest.send(RESTRequest("POST", of: id, ["members"], member.tree))
    }

    /// Removes a member, for the creator and admins. The user may not join by the link until it was
    /// added again.
    public func removeMember(_ user: String, from id: String) async throws(ConfabError) {
        _ = try await self.rest.send(RESTRequest("DELETE", of: id, ["members", user]))
    }

    /// Marks a message and all before it as read.
    public func markRead(_ id: String, upTo message: Int) async throws(ConfabError) {
        let body: JSONTree = ["message_id": .string(String(message))]
        _ = try await self.rest.send(RESTRequest("POST", of: id, ["read"], body))
    }

    /// The read positions of the members, for members.
    public func receipts(_ id: String) async throws(ConfabError) -> ConversationReceipts {
        ConversationReceipts(try await self.rest.send(RESTRequest("GET", of: id, ["receipts"])))
    }

    /// Messages of a conversation, oldest first: the newest, or those before or after one.
    ///
    /// - Parameter limit: at least 1. The server sends long texts in several parts.
    public func history(_ id: String, before: Int? = nil, after: Int? = nil, limit: Int = 50)
        async throws(ConfabError) -> [ChatMessage]
    {
        var page: [ChatMessage] = []
        var (before, after) = (before.map { String($0) }, after.map { String($0) })
        while true {
            let request = RESTRequest("GET", of: id, ["messages"])
                .setting("limit", to: String(min(limit - page.count, 100)))
                .setting("before", to: before).setting("after", to: after)
            let answer = try await self.rest.send(request)
            let part = answer["messages"]?.elements?.compactMap { self.message($0) } ?? []
            page = after == nil ? part + page : page + part
            let next = answer[after == nil ? "next_before_id" : "next_after_id"]?.messageID
            guard let next, page.count < limit, !part.isEmpty else { return page }
            if after == nil { before = String(next) } else { after = String(next) }
        }
    }

    /// The newest messages that contain all words, in all conversations of the user; the last word
    /// may be the beginning of one.
    public func search(_ text: String, limit: Int = 20) async throws(ConfabError)
        -> FoundEverywhere
    {
        let request = RESTRequest("GET", "/search").setting("text", to: text)
            .setting("limit", to: String(limit))
        return FoundEverywhere(try await self.rest.send(request)) { self.message($0) }
    }

    private func message(_ tree: JSONTree) -> ChatMessage? {
        guard var message = ChatMessage(rooms: tree) else { return nil }
        message.isOwn = message.author == self.token.claims?.displayedUser
        return message
    }

    private static func info(_ answer: JSONTree) throws(ConfabError) -> ConversationInfo {
        guard let info = ConversationInfo(answer["conversation"]) else {
            throw .unavailable(reason: "The server's answer describes no conversation.")
        }
        return info
    }
}
