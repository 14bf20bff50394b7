internal import Bytes
internal import ChatModel
internal import Gateway
internal import HTTPWire
internal import Identity
internal import JSON
internal import RoomsDialect

/// Creating and ending a conversation.
extension RoomsAPI {
    /// So many existing ids in a row cannot be chance.
    private static let idAttemptLimit = 8

    func newConversation(_ body: RoomsBody, by caller: RoomsCaller) throws(HTTPError)
        -> NewConversation
    {
        var record = try body.newRecord()
        record.joinPolicy = try body.access() ?? self.defaultAccess
        let listed = try body.listed()
        let isOpen = record.joinPolicy == .open
        guard isOpen || listed != true else { throw HTTPError(.closedIsUnlisted) }
        let members = try body.members()
        var user = try body.userID()
        // An anonymous creator need not give a name.
        if caller.identity == nil, user == nil { user = "guest-\(RoomID.random())" }
        let principal = try caller.principal(user, isEntering: true)
        // Guests find what guests create, as the seed shows.
        record.isListed = listed ?? (isOpen && principal.person.id.isAnonymous)
        return NewConversation(
            record, creator: principal, members: [principal.person] + members)
    }

    func create(_ conversation: NewConversation, for caller: RoomsCaller, at base: String)
        async throws(HTTPError) -> HTTPResponse
    {
        for _ in 0..<Self.idAttemptLimit {
            let id = self.makeID()
            switch try await self.submit(.create(conversation), in: id, of: caller) {
            case .described(let description):
                await self.notify(
                    conversation.members.dropFirst(), InboxNotice(id, from: .start), caller)
                let token = try self.guestToken(
                    for: conversation.creator.person, in: id, as: .creator)
                let location = HTTPField("Location", "\(RoomsRoute.root)/\(id)")
                return Self.response(
                    .created, fields: [location, HTTPField("Cache-Control", "no-store")]
                ) { text in
                    text.append(#","room_id":"#)
                    text.append(jsonString: id)
                    text.append(#","link":"#)
                    text.append(jsonString: "\(base)/conversation/\(id)")
                    text.append(#","conversation":"#)
                    text.append(
                        room: id, description, messageCount: description.head, lastMessage: nil)
                    text.append(guestToken: token)
                }
            case .failed(.conversationExists): continue
            case .failed(let error): throw HTTPError(error)
            default: throw .internalServerError
            }
        }
        throw .chatUnavailable
    }

    /// Changes properties of a conversation.
    func update(
        _ update: ConversationUpdate, of id: ByteString, by principal: Principal,
        _ caller: RoomsCaller
    ) async throws(HTTPError) -> HTTPResponse {
        switch try await self.submit(.update(update, by: principal), in: id, of: caller) {
        case .described(let description):
            guard await self.mayRead(id, caller) else {
                return Self.response { text in
                    text.append(#","conversation":"#)
                    text.append(propertiesOf: description.record, inRoom: id)
                    text.append("}")
                }
            }
            let lastMessage = try await self.lastMessage(of: description, in: id, for: caller)
            return Self.response { text in
                text.append(#","conversation":"#)
                text.append(
                    room: id, description, messageCount: description.head,
                    lastMessage: lastMessage)
            }
        case .failed(let error): throw HTTPError(error)
        default: throw .internalServerError
        }
    }

    func end(_ id: ByteString, by principal: Principal, _ caller: RoomsCaller)
        async throws(HTTPError)
        -> HTTPResponse
    {
        switch try await self.submit(.end(by: principal), in: id, of: caller) {
        case .done: return Self.response()
        case .failed(let error): throw HTTPError(error)
        default: throw .internalServerError
        }
    }
}

extension ByteBuffer {
    /// Appends the token of an anonymous user, with a leading comma, if there is one.
    mutating func append(guestToken token: String?) {
        guard let token else { return }
        self.append(#","token":"#)
        self.append(jsonString: token)
    }
}
