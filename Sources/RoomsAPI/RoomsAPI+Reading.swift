internal import Bytes
internal import ChatModel
internal import Gateway
internal import HTTPWire
internal import Identity
internal import RoomsDialect

/// One conversation: looking at it, and becoming a member.
extension RoomsAPI {
    private static let messageLimit = 50

    func show(_ id: ByteString, to caller: RoomsCaller, unless known: String?) async throws(HTTPError) -> SiteResponse {
        let description = try await self.describe(id, to: caller.onlooker, caller)
        var messages: [Message] = []
        if description.head > 0 {
            let key = ConversationKey(tenant: caller.tenant, id: id)
            // What was said since the conversation was described would not fit to its count.
            let newest = StoreRequest.page(key, .before(description.head + 1), limit: Self.messageLimit)
            guard case .page(let page) = try await self.read(newest) else { throw .away }
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
        response.fields = [HTTPField("Cache-Control", "private, no-cache"), HTTPField("ETag", tag.text)]
        if tag.isNamed(in: known) {
            response.status = .notModified
            response.body = []
        }
        return response
    }

    /// A page of messages, and the conversation's revision when it was read.
    func messages(_ wish: MessagesWish, of id: ByteString, to caller: RoomsCaller) async throws(HTTPError) -> SiteResponse {
        _ = try await self.describe(id, to: caller.onlooker, caller)
        let request = StoreRequest.page(ConversationKey(tenant: caller.tenant, id: id), wish.range, limit: wish.limit)
        guard case .page(let page) = try await self.read(request) else { throw .away }
        return Self.response { text in
            text.append(#","messages":"#)
            text.append(messages: page.messages, inRoom: id)
            text.append(#","rev":"#)
            text.append(decimal: page.revision)
        }
    }

    func join(_ id: ByteString, _ actor: Actor, _ caller: RoomsCaller) async throws(HTTPError) -> SiteResponse {
        do throws(HTTPError) {
            // Looked at first: what is ended may be entered, to read it, but is not to be joined.
            guard try await self.describe(id, to: actor, caller).record.endedAt == nil else { throw HTTPError(.conversationEnded) }
        } catch {
            guard error.status == .notFound, caller.names(id) else { throw error }
        }
        let entrance = Entrance(actor: actor, isListed: caller.lists(id), kind: .rooms)
        switch try await self.ask(.join(entrance), in: id, of: caller) {
        case .entered(let entered) where entered.isEnded: throw HTTPError(.conversationEnded)
        case .entered: break
        case .failed(let error): throw HTTPError(error)
        default: throw .internalServerError
        }
        let description = try await self.describe(id, to: actor, caller)
        // Somebody may have shown it out meanwhile.
        guard let member = description.members.first(where: { $0.user == actor.person.id }) else { throw HTTPError(.notAMember) }
        let token = try self.guestToken(for: actor.person, in: id, as: caller.isCreator(of: id) ? .creator : .member)
        return Self.response { text in
            text.append(#","conversation":"#)
            text.append(room: id, description)
            text.append(#","participant":"#)
            text.append(participant: member, isOnline: description.online.contains(member.user))
            text.append(guestToken: token)
        }
    }

    /// Whoever has the link may look at what is open, and the bearer of a token that lists it at what is closed.
    func describe(_ id: ByteString, to actor: Actor, _ caller: RoomsCaller) async throws(HTTPError) -> Description {
        switch try await self.ask(.describe(by: actor, guests: caller.lists(id) ? .all : .ofOpen), in: id, of: caller) {
        case .described(let description): return description
        case .failed(let error): throw HTTPError(error)
        default: throw .internalServerError
        }
    }
}
