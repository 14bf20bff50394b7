internal import Bytes
internal import ChatModel
internal import DialectKit
internal import Gateway
internal import HTTPWire
internal import Identity
internal import RoomsDialect

/// Reading one conversation, and joining it.
extension RoomsAPI {
    private static let messageLimit = 50

    func readConversation(_ id: ByteString, for caller: RoomsCaller, ifNoneMatch: String?)
        async throws(HTTPError) -> HTTPResponse
    {
        let description = try await self.describe(id, for: caller.viewer, caller)
        var page = MessagePage.of([])
        if description.head > 0 {
            let key = ConversationKey(tenant: caller.tenant, id: id)
            // Newer messages than the described head would contradict the message count.
            let newest = StoreRequest.page(
                key, .before(description.head + 1),
                limit: PageLimit(messages: Self.messageLimit, bytes: caller.pageBytes))
            guard case .page(let read) = try await self.read(newest) else { throw .chatUnavailable }
            page = read
        }
        return Self.revalidatedResponse(ifNoneMatch: ifNoneMatch) { text in
            text.append(#","conversation":"#)
            text.append(
                room: id, description, messageCount: description.head,
                lastMessage: page.messages.last)
            text.append(#","messages":"#)
            let count = text.append(
                messages: page.messages, inRoom: id, on: page, for: caller.viewer.person.id,
                keepsLast: true, within: caller.pageBytes)
            text.append(nextPage: page.next(afterShowing: count, isForward: false))
        }
    }

    /// The newest message up to the described head, in its present state; nil if none is retained.
    /// The store is read only if the owner does not have the message in memory.
    func lastMessage(
        of description: ConversationDetails, in id: ByteString, for caller: RoomsCaller
    ) async throws(HTTPError) -> Message? {
        guard description.head > 0, description.lastMessage == nil else {
            return description.lastMessage
        }
        let key = ConversationKey(tenant: caller.tenant, id: id)
        let newest = StoreRequest.page(key, .before(description.head + 1), limit: 1)
        guard case .page(let page) = try await self.read(newest) else { throw .chatUnavailable }
        return page.messages.last
    }

    /// Reads a page of messages, and the conversation's revision at the time of reading.
    func readMessages(_ query: MessagesQuery, of id: ByteString, for caller: RoomsCaller)
        async throws(HTTPError) -> HTTPResponse
    {
        _ = try await self.describe(id, .none, for: caller.viewer, caller)
        let key = ConversationKey(tenant: caller.tenant, id: id)
        let limit = PageLimit(messages: query.limit, bytes: caller.pageBytes)
        let request: StoreRequest =
            if let root = query.thread {
                .thread(key, root: root, query.range, limit: limit)
            } else {
                .page(key, query.range, limit: limit)
            }
        guard case .page(let page) = try await self.read(request) else { throw .chatUnavailable }
        return Self.response { text in
            text.append(#","messages":"#)
            let isForward = query.range.isForward
            let count = text.append(
                messages: page.messages, inRoom: id, on: page, for: caller.viewer.person.id,
                keepsLast: !isForward, within: caller.pageBytes)
            text.append(
                nextPage: page.next(afterShowing: count, isForward: isForward),
                isForward: isForward)
            text.append(#","rev":"#)
            text.append(decimal: page.revision)
        }
    }

    func join(_ id: ByteString, _ principal: Principal, _ caller: RoomsCaller)
        async throws(HTTPError)
        -> HTTPResponse
    {
        do throws(HTTPError) {
            // Checked first: an ended conversation may be entered to read it, but not joined.
            let description = try await self.describe(id, for: principal, caller)
            guard description.record.endedAt == nil else { throw HTTPError(.conversationEnded) }
            let isKnown = description.viewer != nil
            if caller.identity == nil, isKnown {
                return try await self.joinLater(id, principal.person, description, caller)
            }
        } catch {
            guard error.status == .notFound, caller.grants(id) else { throw error }
        }
        let request = JoinRequest(
            principal: principal, isListedInToken: caller.grants(id), template: .rooms)
        switch try await self.submit(.join(request), in: id, of: caller) {
        case .joined(let entered) where entered.isEnded: throw HTTPError(.conversationEnded)
        case .joined: break
        case .failed(let error): throw HTTPError(error)
        default: throw .internalServerError
        }
        let description = try await self.describe(id, for: principal, caller)
        // Another request may have removed the member in the meantime.
        guard let member = description.viewer, member.user == principal.person.id
        else { throw HTTPError(.notAMember) }
        let token = try self.guestToken(
            for: principal.person, in: id, as: caller.isCreator(of: id) ? .creator : .member)
        return try await self.joinAnswer(
            id, member, description, caller, isOnline: description.online.contains(member.user),
            token: token)
    }

    private func joinAnswer(
        _ id: ByteString, _ member: Member, _ description: ConversationDetails,
        _ caller: RoomsCaller, isOnline: Bool, token: String?
    ) async throws(HTTPError) -> HTTPResponse {
        let lastMessage = try await self.lastMessage(of: description, in: id, for: caller)
        return Self.response { text in
            text.append(#","conversation":"#)
            text.append(
                room: id, description, messageCount: description.head, lastMessage: lastMessage)
            text.append(#","participant":"#)
            text.append(participant: member, isOnline: isOnline)
            text.append(guestToken: token)
        }
    }

    /// The answer to a user without a token whose name a guest of the conversation has. Its token
    /// makes it a member with its first use. Otherwise a client that joins with every start, and
    /// keeps no token, would become one member more each time.
    private func joinLater(
        _ id: ByteString, _ person: Person, _ description: ConversationDetails,
        _ caller: RoomsCaller
    ) async throws(HTTPError) -> HTTPResponse {
        let member = Member(
            user: person.id, name: person.name, role: .member, joinedAt: WallClock.now)
        return try await self.joinAnswer(
            id, member, description, caller, isOnline: false,
            token: try self.guestToken(for: person, in: id, as: .member))
    }

    /// Everybody who has the link may read an open conversation. A closed one is readable for the
    /// bearer of a token that lists it.
    func describe(
        _ id: ByteString, _ members: MemberSelection = .shown, for principal: Principal,
        _ caller: RoomsCaller
    ) async throws(HTTPError) -> ConversationDetails {
        let command = ChatCommand.describe(
            by: principal, readAccess: caller.grants(id) ? .anyone : .anyoneIfOpen,
            members: members)
        switch try await self.submit(command, in: id, of: caller) {
        case .described(let description): return description
        case .failed(let error): throw HTTPError(error)
        default: throw .internalServerError
        }
    }
}
