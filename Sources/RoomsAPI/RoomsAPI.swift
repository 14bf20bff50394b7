internal import Bytes
internal import ChatModel
internal import EventLoop
public import Gateway
public import HTTPWire
public import Identity
internal import JSON
internal import Synchronization

/// The REST part of the Rooms protocol (seed `002`): `/api/conversations` and what is below it.
///
/// It translates between HTTP and the chat's commands, as a dialect does for frames, and asks the node through a port: all of
/// its state is whom to ask.
public final class RoomsAPI: RequestHandler {
    /// Weak, because the node has the API.
    private struct PortReference { weak var port: (any RoomsPort)? }

    private let portReference = Mutex(PortReference())
    /// Signs what anonymous users are given to be known by again; nil where none come in.
    private let guestKey: GuestKey?
    /// For tests, which have to know what is made.
    let makeID: @Sendable () -> ByteString

    /// A little longer than a loop waits for an owner.
    static let answerTimeout = Duration.seconds(6)

    /// - Parameter guests: the key of guest tokens, by which the node's verifier knows them again; nil where no anonymous users come in.
    public convenience init(guestKey guests: GuestKey? = nil) {
        self.init(guestKey: guests, makeID: RoomID.random)
    }

    init(guestKey guests: GuestKey? = nil, makeID mint: @escaping @Sendable () -> ByteString) {
        self.guestKey = guests
        self.makeID = mint
    }

    /// From here on requests are answered.
    public func open(_ port: any RoomsPort) {
        self.portReference.withLock { $0.port = port }
    }

    public func asyncResponse(for request: HTTPRequest, body: [UInt8]) throws(HTTPError)
        -> AsyncResponse?
    {
        guard RoomsRoute.matches(request.path) else { return nil }
        let route = try RoomsRoute(request.path)
        try route.check(request.method)
        let caller = try RoomsCaller(request)
        switch route {
        case .list:
            let wish = try ListQuery(request.query)
            return { () async throws(HTTPError) in try await self.list(wish, for: caller) }
        case .create:
            let founding = try self.newConversation(RoomsBody(request, body), by: caller)
            let base = request.linkBase
            return { () async throws(HTTPError) in
                try await self.create(founding, for: caller, at: base)
            }
        case .conversation(let id):
            let known = request.ifNoneMatch
            return { () async throws(HTTPError) in
                try await self.readConversation(id, for: caller, ifNoneMatch: known)
            }
        case .messages(let id):
            let wish = try MessagesQuery(request.query)
            return { () async throws(HTTPError) in
                try await self.readMessages(wish, of: id, for: caller)
            }
        case .join(let id):
            let body = try RoomsBody(request, body)
            let username = try body.username()
            let actor = try caller.principal(body.userID(), username: username)
            guard username != nil || caller.identity != nil else {
                throw .badRequest("username: is missing")
            }
            return { () async throws(HTTPError) in try await self.join(id, actor, caller) }
        case .end(let id):
            let actor = try caller.principal(RoomsBody(request, body).userID())
            try caller.checkMayEnd(id)
            return { () async throws(HTTPError) in try await self.end(id, by: actor, caller) }
        }
    }

    /// All that there is takes its time.
    public func answer(_ request: HTTPRequest, body: [UInt8]) throws(HTTPError) -> HTTPResponse {
        throw .notFound
    }

    public func errorResponse(_ error: HTTPError, path: String) -> HTTPResponse? {
        RoomsRoute.matches(path) ? HTTPResponse(apiError: error) : nil
    }

    // MARK: Asking the node

    func submit(_ command: ChatCommand, in id: ByteString, of caller: RoomsCaller)
        async throws(HTTPError) -> ChatAnswer
    {
        guard let port = self.portReference.withLock({ $0.port }) else { throw .chatUnavailable }
        let key = ConversationKey(tenant: caller.tenant, id: id)
        guard let answer = await port.command(command, in: key, within: Self.answerTimeout) else {
            throw .chatUnavailable
        }
        return answer
    }

    func read(_ request: StoreRequest) async throws(HTTPError) -> StoreAnswer {
        guard let port = self.portReference.withLock({ $0.port }) else { throw .chatUnavailable }
        guard let answer = await port.read(request, within: Self.answerTimeout) else {
            throw .chatUnavailable
        }
        return answer
    }

    /// A guest's token for a conversation that it is in; nil for bearers of other tokens.
    func guestToken(for person: Person, in id: ByteString, as role: GuestRole) throws(HTTPError)
        -> String?
    {
        guard person.id.isAnonymous, let guests = self.guestKey else { return nil }
        do throws(TokenError) {
            return try guests.token(
                for: person.id.name, named: person.name, in: id, as: role, at: WallClock.now)
        } catch {
            throw .internalServerError
        }
    }

    // MARK: Answers

    private static let noStore = HTTPField("Cache-Control", "no-store")

    /// - Parameter write: adds the members behind `success`.
    static func response(
        _ status: HTTPStatus = .ok, fields: [HTTPField] = [noStore],
        _ write: (inout ByteBuffer) -> Void = { _ in }
    ) -> HTTPResponse {
        var text = ByteBuffer()
        text.append(#"{"success":true"#)
        write(&text)
        text.append("}")
        return HTTPResponse(status, fields: fields, body: text.bytes)
    }
}
