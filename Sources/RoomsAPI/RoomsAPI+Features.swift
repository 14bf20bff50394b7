internal import Bytes
internal import ChatModel
internal import DialectKit
internal import Gateway
internal import HTTPWire
internal import JSON
internal import RoomsDialect

/// Reactions, pins and search (PROTOCOLS, "Message features").
extension RoomsAPI {
    func react(_ command: ChatCommand, in id: ByteString, for caller: RoomsCaller)
        async throws(HTTPError) -> HTTPResponse
    {
        switch try await self.submit(command, in: id, of: caller) {
        case .amended(let message):
            return Self.response { text in
                text.append(",")
                text.append(reactionsTo: message, for: command.user)
            }
        case .failed(let error): throw HTTPError(error)
        default: throw .internalServerError
        }
    }

    /// Pins a message or ends its pin.
    func setPin(_ command: ChatCommand, in id: ByteString, for caller: RoomsCaller)
        async throws(HTTPError) -> HTTPResponse
    {
        switch try await self.submit(command, in: id, of: caller) {
        case .amended(let message):
            guard await self.maySeeChanges(of: id, caller) else {
                return Self.response(toUnseen: message)
            }
            return Self.response { text in
                text.append(",")
                text.append(pinOf: message, inRoom: id)
            }
        case .failed(let error): throw HTTPError(error)
        default: throw .internalServerError
        }
    }

    func pins(of id: ByteString, for caller: RoomsCaller) async throws(HTTPError) -> HTTPResponse {
        let command = ChatCommand.pins(
            by: caller.viewer, readAccess: caller.grants(id) ? .anyone : .anyoneIfOpen)
        switch try await self.submit(command, in: id, of: caller) {
        case .pins(let messages):
            return Self.response { text in
                text.append(#","messages":"#)
                text.append(
                    messages: messages, inRoom: id, on: .of(messages),
                    for: caller.viewer.person.id)
            }
        case .failed(let error): throw HTTPError(error)
        default: throw .internalServerError
        }
    }

    // MARK: Search

    /// Searches one conversation, which the caller may read.
    func search(
        _ search: SearchQuery, _ query: MessagesQuery, in key: ConversationKey,
        for caller: RoomsCaller
    ) async throws(HTTPError) -> HTTPResponse {
        let request = StoreRequest.search(key, search, before: query.before, limit: query.limit)
        switch try await self.read(request) {
        case .found(let page):
            return Self.response { text in
                text.append(#","messages":"#)
                text.append(
                    messages: page.messages, inRoom: key.id, on: .of(page.messages),
                    for: caller.viewer.person.id)
                text.append(searchPosition: page.next, isIncomplete: false)
            }
        case .cannotSearch: throw HTTPError(.serviceUnavailable, "this service has no search")
        default: throw .chatUnavailable
        }
    }

    /// How long a search of all conversations of a user lasts, and how many of them it searches at
    /// a time and at most.
    private static let searchTime = Duration.seconds(1)
    private static let searchesAtOnce = 8
    private static let searchedConversations = 1000

    /// Searches the caller's conversations, those with the newest activity first. If the time ends
    /// before the last one has answered, the answer is incomplete and says so.
    func search(_ query: SearchQuery, limit: Int, for caller: RoomsCaller)
        async throws(HTTPError) -> HTTPResponse
    {
        let principal = try caller.provenPrincipal()
        let deadline = ContinuousClock.now + Self.searchTime
        var (memberships, isIncomplete) = try await self.memberships(of: principal, caller)
        var found: [FoundMessage] = []
        while !memberships.isEmpty, let port = self.port {
            let time = deadline - ContinuousClock.now
            guard time > .zero else { break }
            let batch = memberships.prefix(Self.searchesAtOnce)
            memberships = memberships.dropFirst(batch.count)
            let answers = await withTaskGroup(of: (ListedMembership, StoreAnswer?).self) { group in
                for membership in batch {
                    group.addTask {
                        let request = StoreRequest.search(
                            membership.key, query, before: nil, limit: limit)
                        return (membership, await port.read(request, within: time))
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            for (membership, answer) in answers {
                guard case .found(let page)? = answer else {
                    isIncomplete = true
                    continue
                }
                // The owner decides whether the user is still a member, and not banned.
                guard !page.messages.isEmpty,
                    try await self.mayRead(membership.key.id, principal, caller)
                else { continue }
                found += page.messages.map { FoundMessage(membership: membership, message: $0) }
            }
        }
        isIncomplete = isIncomplete || !memberships.isEmpty
        found.sort {
            ($1.message.sentAt, $1.message.sequence) < ($0.message.sentAt, $0.message.sequence)
        }
        return Self.response { text in
            text.append(#","results":["#)
            for (index, hit) in found.prefix(limit).enumerated() {
                text.append(index > 0 ? #",{"room_id":"# : #"{"room_id":"#)
                text.append(jsonString: hit.membership.key.id)
                text.append(#","title":"#)
                text.append(jsonString: hit.membership.record.title)
                text.append(#","message":"#)
                text.append(
                    message: hit.message, inRoom: hit.membership.key.id, on: .of([]),
                    for: principal.person.id)
                text.append("}")
            }
            text.append(isIncomplete ? #"],"incomplete":true"# : #"],"incomplete":false"#)
        }
    }

    private struct FoundMessage {
        let membership: ListedMembership
        let message: Message
    }

    /// The user's conversations, newest activity first, and whether some are left out.
    private func memberships(of principal: Principal, _ caller: RoomsCaller)
        async throws(HTTPError) -> (ArraySlice<ListedMembership>, isIncomplete: Bool)
    {
        var memberships: [ListedMembership] = []
        var cursor: ByteString?
        repeat {
            let request = StoreRequest.memberships(
                of: principal.person.id, tenant: caller.tenant, after: cursor,
                limit: StoreRequest.listLimit, unreadLimit: 0)
            guard case .memberships(let page) = try await self.read(request) else {
                throw .chatUnavailable
            }
            memberships += page.memberships.filter { !$0.key.isInbox }
            cursor = page.next
        } while cursor != nil && memberships.count < Self.searchedConversations
        memberships.sort { $1.record.updatedAt < $0.record.updatedAt }
        return (memberships[...], cursor != nil)
    }

    private func mayRead(_ id: ByteString, _ principal: Principal, _ caller: RoomsCaller)
        async throws(HTTPError) -> Bool
    {
        if case .described? = try await self.answer(
            to: .describe(by: principal), in: id, of: caller)
        {
            true
        } else {
            false
        }
    }
}
