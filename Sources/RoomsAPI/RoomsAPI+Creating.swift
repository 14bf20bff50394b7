internal import Bytes
internal import ChatModel
internal import Gateway
internal import HTTPWire
internal import Identity
internal import JSON
internal import RoomsDialect

/// Making a conversation, and ending it.
extension RoomsAPI {
    /// So many ids in a row that are taken are no chance.
    private static let idAttemptLimit = 8

    func newConversation(_ body: RoomsBody, by caller: RoomsCaller) throws(HTTPError)
        -> NewConversation
    {
        let title = try body.title()
        let description = try body.description()
        var user = try body.userID()
        // Nobody has to say a name to make a conversation.
        if caller.identity == nil, user == nil { user = "guest-\(RoomID.random())" }
        let actor = try caller.principal(user)
        return NewConversation(
            kind: .rooms, title: title, dialectData: ByteString(description), creator: actor,
            members: [actor.person])
    }

    func create(_ founding: NewConversation, for caller: RoomsCaller, at base: String)
        async throws(HTTPError) -> HTTPResponse
    {
        for _ in 0..<Self.idAttemptLimit {
            let id = self.makeID()
            switch try await self.submit(.create(founding), in: id, of: caller) {
            case .described(let description):
                let token = try self.guestToken(for: founding.creator.person, in: id, as: .creator)
                let place = HTTPField("Location", "\(RoomsRoute.root)/\(id)")
                return Self.response(
                    .created, fields: [place, HTTPField("Cache-Control", "no-store")]
                ) { text in
                    text.append(#","room_id":"#)
                    text.append(jsonString: id)
                    text.append(#","link":"#)
                    text.append(jsonString: "\(base)/conversation/\(id)")
                    text.append(#","conversation":"#)
                    text.append(room: id, description)
                    text.append(guestToken: token)
                }
            case .failed(.conversationExists): continue
            case .failed(let error): throw HTTPError(error)
            default: throw .internalServerError
            }
        }
        throw .chatUnavailable
    }

    func end(_ id: ByteString, by actor: Principal, _ caller: RoomsCaller) async throws(HTTPError)
        -> HTTPResponse
    {
        switch try await self.submit(.end(by: actor), in: id, of: caller) {
        case .done: return Self.response()
        case .failed(let error): throw HTTPError(error)
        default: throw .internalServerError
        }
    }
}

extension ByteBuffer {
    /// The field of an answer that has one for an anonymous user, with a comma in front.
    mutating func append(guestToken token: String?) {
        guard let token else { return }
        self.append(#","token":"#)
        self.append(jsonString: token)
    }
}
