internal import Bytes
internal import ChatModel
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
            if result.isNewMember { await self.notify(person, of: id, caller) }
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

    /// Notifies the user's connections that follow all of its conversations. Without the
    /// notification they find the conversation when they connect again, so a failure is no error.
    private func notify(_ person: Person, of id: ByteString, _ caller: RoomsCaller) async {
        let inbox = ConversationKey.inbox(of: person.id, in: caller.tenant)
        let body = MessageBody(author: person, clientMessageID: nil, content: id.string)
        _ = await self.port?.command(.post(body), in: inbox, within: Self.answerTimeout)
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
