internal import Bytes
internal import ChatModel
internal import DialectKit
internal import Gateway
internal import HTTPWire
internal import JSON
internal import RoomsDialect

/// Adding and removing members.
extension RoomsAPI {
    func addMember(
        _ person: Person, to id: ByteString, by principal: Principal, _ caller: RoomsCaller
    ) async throws(HTTPError) -> HTTPResponse {
        let person = await self.knownPerson(person, caller)
        let command = ChatCommand.addMember(person, by: principal)
        switch try await self.submit(command, in: id, of: caller) {
        case .joined(let result):
            guard let member = result.member else { throw .internalServerError }
            if result.isNewMember {
                let notice = InboxNotice(
                    id, from: .init(head: result.head, revision: result.revision))
                await self.notify([person], notice, caller)
            }
            return Self.response(result.isNewMember ? .created : .ok) { text in
                text.append(#","user_id":"#)
                text.append(jsonString: member.user.name)
                text.append(#","username":"#)
                text.append(jsonString: member.name)
                text.append(guestFlagOf: member.user)
            }
        case .failed(let error): throw HTTPError(error)
        default: throw .internalServerError
        }
    }

    private static let namedMemberships = 50

    /// The person under the name that its own token has carried in another conversation, or under
    /// the given name. Otherwise anybody could add a user under a name that deceives. If the store
    /// does not answer, the given name has to do: the user's next token replaces it.
    func knownPerson(_ person: Person, _ caller: RoomsCaller) async -> Person {
        guard !person.id.isAnonymous, person.name != person.id.name else { return person }
        let request = StoreRequest.memberships(
            of: person.id, tenant: caller.tenant, after: nil, limit: Self.namedMemberships,
            unreadLimit: 0)
        guard
            case .memberships(let page)? = await self.port?.read(
                request, within: Self.answerTimeout)
        else { return person }
        let named = page.memberships.map(\.member).filter {
            !$0.isNameGiven && $0.name != person.id.name
        }
        let newest = named.max { $0.joinedAt < $1.joinedAt }
        return Person(id: person.id, name: newest?.name ?? person.name, agent: person.agent)
    }

    /// Notifies the connections of new members that follow all conversations of their user. Without
    /// the notification they find the conversation when they connect again, so a failure is no
    /// error.
    func notify(
        _ members: some Sequence<Person>, _ notice: InboxNotice, _ caller: RoomsCaller
    ) async {
        guard let port = self.port else { return }
        let client = caller.limitKey
        await withTaskGroup(of: Void.self) { group in
            for person in members {
                let inbox = ConversationKey.inbox(of: person.id, in: caller.tenant)
                let body = notice.body(by: person)
                group.addTask {
                    _ = await port.command(
                        .post(body), in: inbox, by: client, within: Self.answerTimeout)
                }
            }
        }
    }

    /// Lists the members, in the order of their ids, for a member.
    func listMembers(_ query: MembersQuery, of id: ByteString, for caller: RoomsCaller)
        async throws(HTTPError) -> HTTPResponse
    {
        let principal = try caller.provenPrincipal()
        let details: ConversationDetails
        // With one member more, which tells whether another page follows.
        let command = ChatCommand.describe(
            by: principal, members: .page(after: query.after, limit: query.limit + 1))
        switch try await self.submit(command, in: id, of: caller) {
        case .described(let found): details = found
        case .failed(let error): throw HTTPError(error)
        default: throw .internalServerError
        }
        let behind = details.members.filter { member in query.after.map { $0 < member.user } ?? true
        }
        let members = behind.sorted { $0.user < $1.user }.prefix(query.limit)
        return Self.response { text in
            text.append(#","members":["#)
            for (index, member) in members.enumerated() {
                if index > 0 { text.append(",") }
                text.append(member: member, isOnline: details.online.contains(member.user))
            }
            text.append(#"],"next_cursor":"#)
            if behind.count > members.count, let last = members.last {
                text.append(jsonString: MembersQuery.cursor(after: last.user))
            } else {
                text.append("null")
            }
        }
    }

    /// Ends the caller's own membership.
    func leave(_ id: ByteString, for caller: RoomsCaller) async throws(HTTPError) -> HTTPResponse {
        let user = try caller.provenPrincipal().person.id
        switch try await self.submit(.leave(user), in: id, of: caller) {
        case .done: return Self.response()
        case .failed(let error): throw HTTPError(error)
        default: throw .internalServerError
        }
    }

    /// Marks messages up to this one as read.
    func markRead(_ sequence: SequenceNumber, in id: ByteString, for caller: RoomsCaller)
        async throws(HTTPError) -> HTTPResponse
    {
        let user = try caller.provenPrincipal().person.id
        let command = ChatCommand.readThrough(sequence, by: user)
        switch try await self.submit(command, in: id, of: caller) {
        case .read(let unknown) where unknown.isEmpty: return Self.response()
        case .read: throw HTTPError(.noSuchMessage(sequence))
        case .failed(let error): throw HTTPError(error)
        default: throw .internalServerError
        }
    }

    /// Lists the read positions of the members, for a member.
    func receipts(of id: ByteString, for caller: RoomsCaller) async throws(HTTPError)
        -> HTTPResponse
    {
        let user = try caller.provenPrincipal().person.id
        switch try await self.submit(.receipts(by: user), in: id, of: caller) {
        case .receipts(let receipts):
            return Self.response { text in
                text.append(#","room_id":"#)
                text.append(jsonString: id)
                text.append(",")
                text.append(receiptsOfRoom: receipts)
            }
        case .failed(let error): throw HTTPError(error)
        default: throw .internalServerError
        }
    }

    func removeMember(
        _ user: UserID, from id: ByteString, by principal: Principal, _ caller: RoomsCaller
    ) async throws(HTTPError) -> HTTPResponse {
        let command = ChatCommand.removeMember(user, by: principal)
        switch try await self.submit(command, in: id, of: caller) {
        case .done: return Self.response()
        case .failed(let error): throw HTTPError(error)
        default: throw .internalServerError
        }
    }
}
