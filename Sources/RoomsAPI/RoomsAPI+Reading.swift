internal import Bytes
internal import ChatModel
internal import Gateway
internal import HTTPWire
internal import Identity
internal import RoomsDialect

/// One conversation: looking at it, and becoming a member.
extension RoomsAPI {
    private static let messageLimit = 50

    func readConversation(_ id: ByteString, for caller: RoomsCaller, ifNoneMatch known: String?)
        async throws(HTTPError) -> HTTPResponse
    {
        let description = try await self.describe(id, for: caller.viewer, caller)
        var messages: [Message] = []
        if description.head > 0 {
            let key = ConversationKey(tenant: caller.tenant, id: id)
            // What was said since the conversation was described would not fit to its count.
            let newest = StoreRequest.page(
                key, .before(description.head + 1), limit: Self.messageLimit)
            guard case .page(let page) = try await self.read(newest) else { throw .chatUnavailable }
            messages = page.messages
        }
        var response = Self.response { text in
            text.append(#","conversation":"#)
            text.append(room: id, description)
            text.append(#","messages":"#)
            text.append(messages: messages, inRoom: id)
        }
        // Kept by its reader alone, and asked for again each time: so a page that polls is told in a line that nothing has changed.
        let tag = EntityTag(response.body)
        response.fields = [
            HTTPField("Cache-Control", "private, no-cache"), HTTPField("ETag", tag.text),
        ]
        if tag.matches(known) {
            response.status = .notModified
            response.body = []
        }
        return response
    }

    /// A page of messages, and the conversation's revision when it was read.
    func readMessages(_ wish: MessagesQuery, of id: ByteString, for caller: RoomsCaller)
        async throws(HTTPError) -> HTTPResponse
    {
        _ = try await self.describe(id, for: caller.viewer, caller)
        let request = StoreRequest.page(
            ConversationKey(tenant: caller.tenant, id: id), wish.range, limit: wish.limit)
        guard case .page(let page) = try await self.read(request) else { throw .chatUnavailable }
        return Self.response { text in
            text.append(#","messages":"#)
            text.append(messages: page.messages, inRoom: id)
            text.append(#","rev":"#)
            text.append(decimal: page.revision)
        }
    }

    func join(_ id: ByteString, _ actor: Principal, _ caller: RoomsCaller) async throws(HTTPError)
        -> HTTPResponse
    {
        do throws(HTTPError) {
            // Looked at first: what is ended may be entered, to read it, but is not to be joined.
            guard try await self.describe(id, for: actor, caller).record.endedAt == nil else {
                throw HTTPError(.conversationEnded)
            }
        } catch {
            guard error.status == .notFound, caller.explicitlyGrants(id) else { throw error }
        }
        let entrance = JoinRequest(
            principal: actor, isListedInToken: caller.grants(id), kind: .rooms)
        switch try await self.submit(.join(entrance), in: id, of: caller) {
        case .joined(let entered) where entered.isEnded: throw HTTPError(.conversationEnded)
        case .joined: break
        case .failed(let error): throw HTTPError(error)
        default: throw .internalServerError
        }
        let description = try await self.describe(id, for: actor, caller)
        // Somebody may have shown it out meanwhile.
        guard let member = description.members.first(where: { $0.user == actor.person.id }) else {
            throw HTTPError(.notAMember)
        }
        let token = try self.guestToken(
            for: actor.person, in: id, as: caller.isCreator(of: id) ? .creator : .member)
        return Self.response { text in
            text.append(#","conversation":"#)
            text.append(room: id, description)
            text.append(#","participant":"#)
            text.append(participant: member, isOnline: description.online.contains(member.user))
            text.append(guestToken: token)
        }
    }

    /// Whoever has the link may look at what is open, and the bearer of a token that lists it at what is closed.
    func describe(_ id: ByteString, for actor: Principal, _ caller: RoomsCaller)
        async throws(HTTPError) -> ConversationDetails
    {
        switch try await self.submit(
            .describe(by: actor, readAccess: caller.grants(id) ? .anyone : .anyoneIfOpen), in: id,
            of: caller)
        {
        case .described(let description): return description
        case .failed(let error): throw HTTPError(error)
        default: throw .internalServerError
        }
    }
}
