import Bytes
import ChatCore
import ChatEngine
import ChatModel
import Configuration
import DialectKit
import EngineIO
import EventLoop
import HTTPWire
import Synchronization

/// Handles Engine.IO requests: handshakes, polls, POSTs, and WebSockets that take over a session.
extension LoopState {
    /// Handles an Engine.IO request whose head was parsed.
    ///
    /// - Parameters:
    ///   - request: the input from the first byte of the request.
    ///   - offset: the end of the request's head. Set to the end of the input if the connection
    ///     moves to another loop.
    mutating func readEngineRequest(
        _ connection: Connection, _ exchange: HTTPExchange, _ engine: EngineEndpoint,
        _ span: RawSpan,
        request: UnsafeRawBufferPointer, _ offset: inout Int, end: Int,
        _ responseContext: HTTPResponseContext
    ) throws(HTTPError) {
        // After an unread body the next request cannot be found.
        let closingContext = HTTPResponseContext(
            self.http.head, date: self.context.date,
            willClose: self.context.isDraining || self.http.head.body != .bytes(0))
        let isWebSocket = WebSocketUpgrade.isRequested(by: self.http.head, in: span)
        let fields = self.engineFields(connection, span)
        let engineRequest: EngineRequest
        do throws(EngineRefusal) {
            guard self.http.isAllowedOrigin(connection, span) else { throw .forbidden }
            engineRequest = try self.engineRequest(span, isWebSocket: isWebSocket)
        } catch {
            return self.refuseEngineRequest(connection, error, closingContext, fields)
        }
        let upgrade = isWebSocket ? try WebSocketUpgrade(self.http.head, in: span) : nil
        do throws(EngineRefusal) {
            let identity =
                if case .handshake = engineRequest { RequestIdentity.noToken } else {
                    try self.http.requestIdentity(span)
                }
            switch engineRequest {
            case .handshake:
                let opened = try self.openEngineSession(connection, engine, span)
                let peer = self.http.clientAddress(connection, span)
                if let upgrade {
                    self.beginWebSocket(connection, engine, opened, upgrade, peer: peer)
                } else {
                    self.beginPolling(
                        connection, exchange, engine, opened, closingContext, fields, peer: peer)
                }
            case .poll(let id):
                guard
                    let session = try self.resolveSession(
                        id, identity, connection, request, &offset, end: end)
                else { return }
                self.beginPoll(connection, exchange, session, id, identity, closingContext, fields)
            case .post(let id):
                guard
                    let session = try self.resolveSession(
                        id, identity, connection, request, &offset, end: end)
                else { return }
                guard case .local(let session) = session else {
                    var isWhole = false
                    if case .bytes(let count) = self.http.head.body {
                        isWhole = request.count - self.http.head.byteCount >= count
                    }
                    let post = PendingEngineRequest.ForwardedPost(
                        number: ForwardedMessage.randomNumber(), id: id, session: session,
                        identity: identity)
                    return self.beginForwardedPost(
                        connection, exchange, engine, post, isWhole: isWhole, responseContext,
                        fields)
                }
                self.beginPost(connection, exchange, engine, session, responseContext, fields)
            case .upgrade(let id):
                guard
                    let session = try self.resolveSession(
                        id, identity, connection, request, &offset, end: end), let upgrade
                else { return }
                guard case .local(let session) = session else {
                    let waiting = PendingEngineRequest(
                        session: nil, responseContext: closingContext, fields: fields)
                    waiting.upgrade = upgrade
                    self.beginWaiting(connection, exchange, waiting)
                    return self.forward(.probe, session, id, identity, connection)
                }
                self.beginProbe(connection, session, upgrade)
            }
        } catch {
            self.refuseEngineRequest(connection, error, closingContext, fields)
        }
    }

    private mutating func beginPoll(
        _ connection: Connection, _ exchange: HTTPExchange, _ session: ResolvedSession,
        _ id: EngineSessionID,
        _ identity: RequestIdentity, _ responseContext: HTTPResponseContext, _ fields: [HTTPField]
    ) {
        guard case .local(let session) = session else {
            self.beginWaiting(
                connection, exchange,
                PendingEngineRequest(
                    session: nil, responseContext: responseContext, fields: fields))
            return self.forward(.poll, session, id, identity, connection)
        }
        self.beginWaiting(
            connection, exchange,
            PendingEngineRequest(
                session: session, responseContext: responseContext, fields: fields))
        let (request, now) = (EngineRequestID(self.token(connection)), self.context.now.monotonic)
        self.updateEngine(session) { $0.poll(request, at: now, into: &$1) }
    }

    /// Whether the request that is being read has an invalid token.
    private var hasInvalidToken: Bool {
        if case .invalid = self.http.credentials { true } else { false }
    }

    private func engineRequest(_ span: RawSpan, isWebSocket: Bool) throws(EngineRefusal)
        -> EngineRequest
    {
        let method: EngineMethod =
            switch self.http.head.method {
            case .get: .get
            case .post: .post
            default: .other
            }
        return try EngineRequest(
            method, query: span.extracting(self.http.head.query ?? 0..<0), isWebSocket: isWebSocket)
    }

    func token(_ connection: Connection) -> SocketToken { connection.token }

    /// The fields of every response to this request.
    private func engineFields(_ connection: Connection, _ span: RawSpan) -> [HTTPField] {
        [HTTPField("Cache-Control", "no-store")]
    }

    mutating func refuseEngineRequest(
        _ connection: Connection, _ refusal: EngineRefusal, _ responseContext: HTTPResponseContext,
        _ fields: [HTTPField]
    ) {
        var body = ByteBuffer()
        body.append(engineRefusal: refusal)
        let fields = refusal == .unavailable ? fields + [HTTPField("Retry-After", "1")] : fields
        self.http.respond(
            connection,
            HTTPResponse(HTTPStatus(rawValue: refusal.status), fields: fields, body: body.bytes),
            responseContext)
    }

    // MARK: Finding the session

    enum ResolvedSession {
        case local(SocketToken)
        case remote(SessionLocation)
    }

    mutating func forward(
        _ kind: ForwardedMessage.Kind, _ session: ResolvedSession, _ id: EngineSessionID,
        _ identity: RequestIdentity, _ connection: Connection, body: String = ""
    ) {
        guard case .remote(let location) = session else { return }
        self.forward(kind, to: location, id, by: identity, for: self.token(connection), body)
    }

    mutating func forward(
        _ kind: ForwardedMessage.Kind, _ post: PendingEngineRequest.ForwardedPost,
        _ connection: Connection,
        body: String = ""
    ) {
        guard case .remote(let location) = post.session else { return }
        self.forward(
            kind, to: location, post.id, by: post.identity, for: self.token(connection), body,
            number: post.number)
    }

    /// Whether the request may use the session. The unguessable `sid` is sufficient, unless a token
    /// contradicts it.
    func isAllowed(_ identity: RequestIdentity, for webSocket: WebSocketState) -> Bool {
        guard let session = webSocket.session, let engine = webSocket.engine else { return true }
        return identity.isAllowed(
            for: .init(
                tenant: session.tenant, user: session.principal?.person.id,
                hasInvalidToken: engine.hasInvalidToken))
    }

    /// Finds the session that a request names.
    ///
    /// - Returns: nil if another loop has the session. Then the connection moves to that loop.
    private mutating func resolveSession(
        _ id: EngineSessionID, _ identity: RequestIdentity, _ connection: Connection,
        _ request: UnsafeRawBufferPointer, _ offset: inout Int, end: Int
    ) throws(EngineRefusal) -> ResolvedSession? {
        if let token = self.engine.sessions[id], let owner = self.pool[token] {
            if case .webSocket(let webSocket) = owner.phase,
                !self.isAllowed(identity, for: webSocket)
            {
                throw .forbidden
            }
            self.pool.table.hot[owner.slot].lastReceivedTick = self.context.tickNumber
            return .local(token)
        }
        guard let location = SessionLocation(id) else { throw .unknownSession }
        guard
            location.node == self.bridge.chat.id.incarnation
                || location.node == self.context.settings.incarnation
        else {
            guard self.isInView(location.node) else { throw .unknownSession }
            return .remote(location)
        }
        guard location.loop < self.context.settings.loopCount, location.loop != self.context.index,
            self.pool.canMove(connection)
        else { throw .unknownSession }
        offset = end
        self.moveRequest(connection, to: location.loop, Array(request))
        return nil
    }

    // MARK: Handshakes

    /// Opens the dialect's session for a new client.
    private mutating func openEngineSession(
        _ connection: Connection, _ engine: EngineEndpoint, _ span: RawSpan
    ) throws(EngineRefusal) -> (session: any DialectSession, id: EngineSessionID) {
        let limit = self.context.live.limits.connections
        guard self.http.admitClient(),
            self.context.shared.connectionCount.load(ordering: .relaxed) <= limit
        else {
            self.context.counters.refusedConnections += 1
            throw .unavailable
        }
        guard let request = (try? self.http.dialectRequest(connection, span)) ?? nil,
            case .session(let session)? = self.context.settings.dialects[engine.dialect].open(
                request)
        else { throw .badRequest }
        var random = SystemRandomNumberGenerator()
        return (
            session,
            SessionLocation(node: self.bridge.chat.id.incarnation, loop: self.context.index)
                .makeSessionID(
                    (random.next(), random.next()))
        )
    }

    private mutating func beginPolling(
        _ connection: Connection, _ exchange: HTTPExchange, _ engine: EngineEndpoint,
        _ opened: (session: any DialectSession, id: EngineSessionID),
        _ responseContext: HTTPResponseContext, _ fields: [HTTPField], peer: SocketAddress
    ) {
        let token = self.context.loop.reserve()
        let request = EngineRequestID(self.token(connection))
        self.beginWaiting(
            connection, exchange,
            PendingEngineRequest(session: token, responseContext: responseContext, fields: fields))
        var steps = EngineSteps()
        let webSocket = self.bridge.makeWebSocketState(
            opened.session, dialect: engine.dialect, acceptsCompression: false, isCompressed: false
        )
        webSocket.engine = EngineState(
            EngineSession(
                opened.id, engine.settings, openedBy: request, at: self.context.now.monotonic,
                into: &steps
            ),
            hasInvalidToken: self.hasInvalidToken)
        webSocket.expiresAt = self.http.tokenExpiry
        _ = self.context.shared.connectionCount.add(1, ordering: .relaxed)
        let owner = Connection(
            token: token, peer: peer, listenerRole: .clients, phase: .webSocket(webSocket))
        self.pool.add(owner, descriptor: -1)
        self.pool.table.hot[owner.slot].flags.insert(.isPolling)
        self.engine.sessions[opened.id] = token
        self.bridge.beginSession(webSocket, owner)
        self.runEngineSteps(steps, of: token)
    }

    private mutating func beginWebSocket(
        _ connection: Connection, _ engine: EngineEndpoint,
        _ opened: (session: any DialectSession, id: EngineSessionID), _ upgrade: WebSocketUpgrade,
        peer: SocketAddress
    ) {
        let token = self.token(connection)
        self.pool.send(connection, self.pool.frames.encodeResponse(of: upgrade.uncompressed))
        var steps = EngineSteps()
        let webSocket = self.bridge.makeWebSocketState(
            opened.session, dialect: engine.dialect, acceptsCompression: false, isCompressed: false
        )
        webSocket.engine = EngineState(
            EngineSession(
                opened.id, engine.settings, openedOn: EngineSocketID(token),
                at: self.context.now.monotonic, into: &steps),
            socket: EngineSocketID(token))
        webSocket.expiresAt = self.http.tokenExpiry
        connection.phase = .webSocket(webSocket)
        connection.peer = peer
        self.engine.sessions[opened.id] = token
        self.runEngineSteps(steps, of: token)
        self.bridge.beginSession(webSocket, connection)
    }

    // MARK: Pending requests

    /// Makes the request pending. Nothing else is read from its connection until the response.
    mutating func beginWaiting(
        _ connection: Connection, _ exchange: HTTPExchange, _ engine: PendingEngineRequest
    ) {
        exchange.engineRequest = engine
        connection.deadline = 0
    }

    /// Reports to the session that a request's connection closed before the response.
    mutating func engineRequestAborted(_ request: SocketToken, _ engine: PendingEngineRequest) {
        guard let session = engine.session else {
            if let post = engine.forwardedPost, case .remote(let location) = post.session {
                self.notifyPostAborted(
                    post.number, of: post.id, by: post.identity, at: location)
            }
            return self.cancelForwardedRequests(of: request)
        }
        self.updateEngine(session) {
            if engine.isPost {
                $0.postAborted(EngineRequestID(request), into: &$1)
            } else {
                $0.pollAborted(EngineRequestID(request), into: &$1)
            }
        }
    }

    // MARK: WebSockets that take over a session

    private mutating func beginProbe(
        _ connection: Connection, _ session: SocketToken, _ upgrade: WebSocketUpgrade
    ) {
        let token = self.token(connection)
        self.pool.send(connection, self.pool.frames.encodeResponse(of: upgrade.uncompressed))
        let webSocket = self.bridge.makeWebSocketState(
            nil, dialect: -1, acceptsCompression: false, isCompressed: false)
        webSocket.probedSession = session
        connection.phase = .webSocket(webSocket)
        connection.deadline = 0
        let now = self.context.now.monotonic
        self.updateEngine(session) { $0.socketOpened(EngineSocketID(token), at: now, into: &$1) }
    }
}
