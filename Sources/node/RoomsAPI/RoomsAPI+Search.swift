internal import Bytes
internal import ChatModel
internal import DialectKit
internal import Gateway
internal import HTTPWire
internal import JSON
internal import RoomsDialect

/// Searches (PROTOCOLS, "Message features").
extension RoomsAPI {
    /// The response of a search. A user who has another search under way is refused at once, before
    /// the request takes one of the node's places for unanswered requests.
    func searching(
        for caller: RoomsCaller,
        _ search: @escaping @Sendable (SearchPermit) async throws(HTTPError) -> HTTPResponse
    ) throws(HTTPError) -> AsyncResponse {
        guard let port = self.port else { throw .chatUnavailable }
        let permit: SearchPermit
        do throws(SearchRefusal) {
            permit = try port.beginSearch(for: caller.limitKey)
        } catch {
            throw HTTPError(error)
        }
        return { () async throws(HTTPError) in
            let result: Result<HTTPResponse, HTTPError> = await withTaskCancellationHandler {
                do throws(HTTPError) {
                    return .success(try await search(permit))
                } catch {
                    return .failure(error)
                }
            } onCancel: {
                permit.cancel()
            }
            // Before the response. The store may still execute a search that was cancelled.
            if !permit.isCancelled { permit.end() }
            return try result.get()
        }
    }

    /// Searches one conversation, which the caller may read.
    func search(
        _ words: SearchQuery, _ query: MessagesQuery, in id: ByteString, for caller: RoomsCaller,
        _ permit: SearchPermit
    ) async throws(HTTPError) -> HTTPResponse {
        _ = try await self.describe(id, .none, for: caller.viewer, caller)
        let key = ConversationKey(tenant: caller.tenant, id: id)
        let request = StoreRequest.search(
            key, words, before: query.before, limit: query.limit, permit: permit)
        guard let answer = await self.port?.read(request, within: Self.answerTimeout) else {
            permit.cancel()
            throw .chatUnavailable
        }
        switch answer {
        case .found(let page):
            return Self.response { text in
                text.append(#","messages":"#)
                let count = text.append(
                    messages: page.messages, inRoom: key.id, on: .of(page.messages),
                    for: caller.viewer.person.id, within: caller.pageBytes)
                text.append(searchPosition: page.next(afterShowing: count), isIncomplete: false)
            }
        case .cannotSearch: throw HTTPError(.serviceUnavailable, "this service has no search")
        case .searchRefused(let refusal): throw HTTPError(refusal)
        default: throw .chatUnavailable
        }
    }

    /// How long a search of all conversations of a user lasts.
    private static let searchTime = Duration.seconds(1)

    /// Searches the caller's conversations one after the other, those with the newest activity
    /// first. If the time ends before the last one has answered, the answer is incomplete and says
    /// so.
    func search(
        _ query: SearchQuery, limit: Int, for caller: RoomsCaller, _ permit: SearchPermit
    ) async throws(HTTPError) -> HTTPResponse {
        let principal = try caller.provenPrincipal()
        let deadline = ContinuousClock.now + Self.searchTime
        var (memberships, isIncomplete) = try await self.memberships(of: principal, caller)
        var found: [FoundMessage] = []
        while let membership = memberships.first, let port = self.port, !permit.isCancelled {
            let time = deadline - ContinuousClock.now
            guard time > .zero else { break }
            let request = StoreRequest.search(
                membership.key, query, before: nil, limit: limit, permit: permit)
            guard let answer = await port.read(request, within: time) else {
                permit.cancel()
                break
            }
            memberships.removeFirst()
            guard case .found(let page) = answer else {
                isIncomplete = true
                continue
            }
            // The owner decides whether the user is still a member, and not banned.
            guard !page.messages.isEmpty,
                try await self.mayRead(membership.key.id, principal, caller)
            else { continue }
            found += page.messages.map { FoundMessage(membership: membership, message: $0) }
        }
        isIncomplete = isIncomplete || !memberships.isEmpty
        found.sort {
            ($1.message.sentAt, $1.message.sequence) < ($0.message.sentAt, $0.message.sequence)
        }
        return Self.response { text in
            text.append(#","results":"#)
            let hits = found.prefix(limit)
            let count = text.append(array: hits, within: caller.pageBytes) { text, hit in
                text.append(#"{"room_id":"#)
                text.append(jsonString: hit.membership.key.id)
                text.append(#","title":"#)
                text.append(jsonString: hit.membership.record.title)
                text.append(#","message":"#)
                text.append(
                    message: hit.message, inRoom: hit.membership.key.id, on: .of([]),
                    for: principal.person.id)
                text.append("}")
            }
            text.append(
                isIncomplete || count < hits.count
                    ? #","incomplete":true"# : #","incomplete":false"#)
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
        var list = MembershipList()
        var count = 0
        var cursor: ByteString?
        repeat {
            let page = try await self.readMemberships(
                of: principal.person.id, after: cursor, unreadLimit: 0, for: caller)
            list.add(page)
            count += page.memberships.count { !$0.key.isInbox }
            cursor = page.next
        } while cursor != nil
        return (list.memberships[...], count > list.memberships.count)
    }

    private func mayRead(_ id: ByteString, _ principal: Principal, _ caller: RoomsCaller)
        async throws(HTTPError) -> Bool
    {
        if case .described? = try await self.answer(
            to: .describe(by: principal, members: .none), in: id, of: caller)
        {
            true
        } else {
            false
        }
    }
}
