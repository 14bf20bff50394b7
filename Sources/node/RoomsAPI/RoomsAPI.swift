internal import Bytes
public import ChatModel
internal import DialectKit
internal import EventLoop
public import Gateway
public import HTTPWire
public import Identity
internal import JSON
internal import Synchronization

/// The REST part of the Rooms protocol (seed `002`): `/api/conversations` and all paths below it.
///
/// It converts HTTP requests to chat commands, as a dialect does with frames, and submits them to
/// the node through a port. The port is its only mutable state.
public final class RoomsAPI: RequestHandler {
    /// Weak, because the node owns the API.
    private struct PortReference { weak var port: (any RoomsPort)? }

    private let portReference = Mutex(PortReference())
    /// Signs the tokens by which anonymous users are recognized; nil if there are no anonymous
    /// users.
    private let guestKey: GuestKey?
    /// The access of conversations that a request creates without naming one.
    let defaultAccess: ConversationRecord.JoinPolicy
    /// Creates conversation ids; replaceable for tests.
    let makeID: @Sendable () -> ByteString

    /// Slightly longer than a loop waits for an owner.
    static let answerTimeout = Duration.seconds(6)

    /// - Parameters:
    ///   - guestKey: the key of guest tokens, which the node's verifier shares; nil if there are no
    ///     anonymous users.
    ///   - defaultAccess: the access of conversations that a request creates without naming one.
    public convenience init(
        guestKey: GuestKey? = nil, defaultAccess: ConversationRecord.JoinPolicy = .open
    ) {
        self.init(guestKey: guestKey, defaultAccess: defaultAccess, makeID: RoomID.random)
    }

    init(
        guestKey: GuestKey? = nil, defaultAccess: ConversationRecord.JoinPolicy = .open,
        makeID: @escaping @Sendable () -> ByteString
    ) {
        self.guestKey = guestKey
        self.defaultAccess = defaultAccess
        self.makeID = makeID
    }

    /// The paths that the API answers.
    public var routes: [Route] {
        [
            .api("/api/conversations/{id}/messages", self, sendsMessages: true),
            .api("/api/conversations/**", self),
            .api("/api/search", self),
        ]
    }

    /// Connects the API to its node. Requests are answered from here on.
    public func open(_ port: any RoomsPort) {
        self.portReference.withLock { $0.port = port }
    }

    public func checkBeforeBody(_ request: HTTPRequest) throws(HTTPError) {
        _ = try self.admit(request)
    }

    /// Checks the path, the method and the client of a request.
    private func admit(_ request: HTTPRequest) throws(HTTPError) -> (RoomsRoute, RoomsCaller) {
        let route = try RoomsRoute(request.path)
        try route.check(request.method)
        let caller = try RoomsCaller(request)
        // Commands are checked again, because an anonymous user is known only with the command.
        if let identity = caller.identity,
            let ban = self.port?.ban(of: UserID(of: identity), in: identity.tenant)
        {
            throw HTTPError(.forbidden, ban.notice)
        }
        return (route, caller)
    }

    public func asyncResponse(for request: HTTPRequest, body: [UInt8]) throws(HTTPError)
        -> AsyncResponse?
    {
        let (route, caller) = try self.admit(request)
        switch route {
        case .list:
            let query = try ListQuery(request.query)
            let ifNoneMatch = request.ifNoneMatch
            return { () async throws(HTTPError) in
                try await self.list(query, for: caller, ifNoneMatch: ifNoneMatch)
            }
        case .create:
            let conversation = try self.newConversation(RoomsBody(request, body), by: caller)
            let base = request.linkBase
            return { () async throws(HTTPError) in
                try await self.create(conversation, for: caller, at: base)
            }
        case .conversation(let id) where request.method == .patch:
            let principal = try caller.provenPrincipal()
            try caller.checkMayBeCreator(of: id)
            let update = try RoomsBody(request, body).update()
            return { () async throws(HTTPError) in
                try await self.update(update, of: id, by: principal, caller)
            }
        case .conversation(let id):
            let ifNoneMatch = request.ifNoneMatch
            return { () async throws(HTTPError) in
                try await self.readConversation(id, for: caller, ifNoneMatch: ifNoneMatch)
            }
        case .join(let id):
            let body = try RoomsBody(request, body)
            let username = try body.username()
            let principal = try caller.principal(
                body.userID(), username: username, isEntering: true)
            guard username != nil || caller.identity != nil else {
                throw .badRequest("username: is missing")
            }
            return { () async throws(HTTPError) in try await self.join(id, principal, caller) }
        case .end(let id):
            let principal = try caller.principal(RoomsBody(request, body).userID())
            try caller.checkMayBeCreator(of: id)
            return { () async throws(HTTPError) in try await self.end(id, by: principal, caller) }
        case .messages(let id) where request.method == .post:
            let message = try self.newMessage(.ofMessage(request, body), by: caller)
            return { () async throws(HTTPError) in
                try await self.send(message, to: id, for: caller)
            }
        case .messages(let id):
            let query = try MessagesQuery(request.query)
            if let words = query.search {
                return try self.searching(for: caller) { (permit) async throws(HTTPError) in
                    try await self.search(words, query, in: id, for: caller, permit)
                }
            }
            return { () async throws(HTTPError) in
                try await self.readMessages(query, of: id, for: caller)
            }
        case .message(let id, let sequence):
            let command = try self.amendment(of: sequence, request, body, by: caller)
            return { () async throws(HTTPError) in
                try await self.amend(command, in: id, for: caller)
            }
        case .reaction(let id, let sequence, let emoji):
            let command = ChatCommand.react(
                sequence, emoji, isOn: request.method == .put, by: try caller.provenPrincipal())
            return { () async throws(HTTPError) in
                try await self.react(command, in: id, for: caller)
            }
        case .pin(let id, let sequence):
            let principal = try caller.provenPrincipal()
            let command: ChatCommand =
                request.method == .put
                ? .pin(sequence, by: principal) : .unpin(sequence, by: principal)
            return { () async throws(HTTPError) in
                try await self.setPin(command, in: id, for: caller)
            }
        case .pins(let id):
            let cursor = try QueryParameters(request.query)["cursor"]
            let after = cursor.map { Int(pinCursor: $0) } ?? 0
            guard let after else { throw .badRequest(FieldError.pinCursor.description) }
            return { () async throws(HTTPError) in
                try await self.pins(of: id, after: after, for: caller)
            }
        case .search:
            let query = try QueryParameters(request.query)
            guard let text = query["text"] else { throw .badRequest("text: is missing") }
            let words = try MessagesQuery.parseSearch(text, of: "text")
            let limit = try query["limit"].map(ListQuery.parsePageLimit) ?? 20
            return try self.searching(for: caller) { (permit) async throws(HTTPError) in
                try await self.search(words, limit: limit, for: caller, permit)
            }
        case .leave(let id):
            _ = try caller.provenPrincipal()
            return { () async throws(HTTPError) in try await self.leave(id, for: caller) }
        case .read(let id):
            _ = try caller.provenPrincipal()
            let sequence = try RoomsBody(request, body).messageID()
            return { () async throws(HTTPError) in
                try await self.markRead(sequence, in: id, for: caller)
            }
        case .receipts(let id):
            _ = try caller.provenPrincipal()
            return { () async throws(HTTPError) in try await self.receipts(of: id, for: caller) }
        case .members(let id) where request.method != .post:
            _ = try caller.provenPrincipal()
            let query = try MembersQuery(request.query)
            return { () async throws(HTTPError) in
                try await self.listMembers(query, of: id, for: caller)
            }
        case .members(let id):
            let principal = try caller.provenPrincipal()
            try caller.checkMayBeCreator(of: id)
            let person = try RoomsBody(request, body).newMember()
            return { () async throws(HTTPError) in
                try await self.addMember(person, to: id, by: principal, caller)
            }
        case .member(let id, let user):
            let principal = try caller.provenPrincipal()
            try caller.checkMayBeCreator(of: id)
            return { () async throws(HTTPError) in
                try await self.removeMember(user, from: id, by: principal, caller)
            }
        }
    }

    /// Every request of this API needs asynchronous work.
    public func answer(_ request: HTTPRequest, body: [UInt8]) throws(HTTPError) -> HTTPResponse {
        throw .notFound
    }

    // MARK: Requests to the node

    var port: (any RoomsPort)? { self.portReference.withLock { $0.port } }

    func submit(_ command: ChatCommand, in id: ByteString, of caller: RoomsCaller)
        async throws(HTTPError) -> ChatAnswer
    {
        guard let answer = try await self.answer(to: command, in: id, of: caller) else {
            throw .chatUnavailable
        }
        return answer
    }

    /// Nil if there is no answer in time: the command may have been executed.
    func answer(to command: ChatCommand, in id: ByteString, of caller: RoomsCaller)
        async throws(HTTPError) -> ChatAnswer?
    {
        guard let port = self.port else { throw .chatUnavailable }
        let key = ConversationKey(tenant: caller.tenant, id: id)
        return await port.command(
            command, in: key, by: caller.limitKey, within: Self.answerTimeout)
    }

    func read(_ request: StoreRequest) async throws(HTTPError) -> StoreAnswer {
        guard let port = self.port else { throw .chatUnavailable }
        guard let answer = await port.read(request, within: Self.answerTimeout) else {
            throw .chatUnavailable
        }
        return answer
    }

    /// Reads a page of the conversations in which the caller is a member. Pages after the first one
    /// come at the rate of replays.
    func readMemberships(
        of user: UserID, after cursor: ByteString?, unreadLimit: Int, for caller: RoomsCaller
    ) async throws(HTTPError) -> MembershipPage {
        if cursor != nil { await self.port?.awaitFurtherRead(by: caller.limitKey) }
        let request = StoreRequest.memberships(
            of: user, tenant: caller.tenant, after: cursor, limit: StoreRequest.listLimit,
            unreadLimit: unreadLimit)
        guard case .memberships(let page) = try await self.read(request) else {
            throw .chatUnavailable
        }
        return page
    }

    /// Creates a guest token for a conversation that the user is in; nil for bearers of other
    /// tokens.
    func guestToken(for person: Person, in id: ByteString, as role: GuestRole) throws(HTTPError)
        -> String?
    {
        guard let key = person.id.guestKey, let guests = self.guestKey else { return nil }
        do throws(TokenError) {
            return try guests.token(
                for: person.id.name, withKey: key, named: person.name, in: id, as: role,
                at: WallClock.now)
        } catch {
            throw .internalServerError
        }
    }

    // MARK: Responses

    private static let noStore = HTTPField("Cache-Control", "no-store")

    /// - Parameter write: writes the members after `success`.
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

    /// The response to a client that polls: 304 without a body while nothing changes. Only the
    /// client itself may cache it, and must revalidate it.
    ///
    /// - Parameter write: writes the members after `success`.
    static func revalidatedResponse(
        ifNoneMatch: String?, _ write: (inout ByteBuffer) -> Void
    ) -> HTTPResponse {
        var response = Self.response(.ok, write)
        let tag = EntityTag(response.body)
        response.fields = [
            HTTPField("Cache-Control", "private, no-cache"), HTTPField("ETag", tag.text),
        ]
        if tag.matches(ifNoneMatch) {
            response.status = .notModified
            response.body = []
        }
        return response
    }
}
