import Bytes
import ChatCore
import ChatModel
import Cluster
import Configuration
import DialectKit
import EngineIO
import EventLoop
import HTTPWire
import Synchronization

/// Requests of Engine.IO: handshakes, polls, POSTs, and WebSockets that take over.
extension LoopState {
    /// Whether the request whose head was read is one of Engine.IO's. A preflight is not.
    mutating func isEngineRequest(_ span: RawSpan) -> Bool {
        guard let engine = self.shared.engine, self.head.method != .options else { return false }
        for path in engine.paths where self.head.pathEquals(path, in: span) { return true }
        return false
    }

    /// Whether it is a request of a session that is there already: a drain ends that in its own time, and not between two polls.
    mutating func namesEngineSession(_ span: RawSpan) -> Bool {
        guard self.isEngineRequest(span) else { return false }
        do throws(HTTPError) {
            return try self.head.queryValue("sid", in: span) != nil
        } catch {
            // It is told what is wrong with it.
            return true
        }
    }

    /// - Parameters:
    ///   - request: the bytes from the request's first one on, whatever is behind it included.
    ///   - offset: where the request's head ends; behind everything when the connection goes to another loop.
    mutating func readEngineRequest(
        _ slot: Int, _ exchange: HTTPExchange, _ span: RawSpan, request: UnsafeRawBufferPointer,
        _ offset: inout Int, end: Int,
        _ answering: HTTPResponseContext
    ) throws(HTTPError) {
        guard let engine = self.shared.engine else { return }
        // Behind a body that is not read nothing can be told apart from it.
        let ending = HTTPResponseContext(
            self.head, date: self.date, willClose: self.isDraining || self.head.body != .bytes(0))
        let isWebSocket = WebSocketUpgrade.isRequested(by: self.head, in: span)
        let fields = self.engineFields(slot, span)
        let asked: EngineRequest
        do throws(EngineRefusal) {
            guard self.isAllowedOrigin(slot, span) else { throw .forbidden }
            asked = try self.engineRequest(span, isWebSocket: isWebSocket)
        } catch {
            return self.refuseEngineRequest(slot, error, ending, fields)
        }
        let upgrade = isWebSocket ? try WebSocketUpgrade(self.head, in: span) : nil
        do throws(EngineRefusal) {
            let visitor =
                if case .handshake = asked { RequestIdentity.noToken } else {
                    try self.requestIdentity(span)
                }
            switch asked {
            case .handshake:
                let opening = try self.openEngineSession(slot, engine, span)
                let peer = self.clientAddress(slot, span)
                if let upgrade {
                    self.beginWebSocket(slot, engine, opening, upgrade, peer: peer)
                } else {
                    self.beginPolling(slot, exchange, engine, opening, ending, fields, peer: peer)
                }
            case .poll(let id):
                guard
                    let session = try self.resolveSession(
                        id, visitor, slot, request, &offset, end: end)
                else { return }
                guard case .local(let session) = session else {
                    self.beginWaiting(
                        slot, exchange,
                        PendingEngineRequest(session: nil, responseContext: ending, fields: fields))
                    return self.forward(.poll, session, id, visitor, slot)
                }
                self.beginWaiting(
                    slot, exchange,
                    PendingEngineRequest(session: session, responseContext: ending, fields: fields))
                let (waiting, now) = (EngineRequestID(self.token(slot)), self.now.monotonic)
                self.updateEngine(session) { $0.poll(waiting, at: now, into: &$1) }
            case .post(let id):
                guard
                    let session = try self.resolveSession(
                        id, visitor, slot, request, &offset, end: end)
                else { return }
                guard case .local(let session) = session else {
                    var isWhole = false
                    if case .bytes(let count) = self.head.body {
                        isWhole = request.count - self.head.byteCount >= count
                    }
                    let carried = PendingEngineRequest.ForwardedPost(
                        number: ForwardedMessage.randomNumber(), id: id, place: session,
                        visitor: visitor)
                    return self.beginForwardedPost(
                        slot, exchange, engine, carried, isWhole: isWhole, answering, fields)
                }
                self.beginPost(slot, exchange, engine, session, answering, fields)
            case .upgrade(let id):
                guard
                    let session = try self.resolveSession(
                        id, visitor, slot, request, &offset, end: end), let upgrade
                else { return }
                guard case .local(let session) = session else {
                    let waiting = PendingEngineRequest(
                        session: nil, responseContext: ending, fields: fields)
                    waiting.upgrade = upgrade
                    self.beginWaiting(slot, exchange, waiting)
                    return self.forward(.probe, session, id, visitor, slot)
                }
                self.beginProbe(slot, session, upgrade)
            }
        } catch {
            self.refuseEngineRequest(slot, error, ending, fields)
        }
    }

    /// Of the request that is being read.
    private var hasInvalidToken: Bool {
        if case .invalid = self.credentials { true } else { false }
    }

    private func engineRequest(_ span: RawSpan, isWebSocket: Bool) throws(EngineRefusal)
        -> EngineRequest
    {
        let method: EngineMethod =
            switch self.head.method {
            case .get: .get
            case .post: .post
            default: .other
            }
        return try EngineRequest(
            method, query: span.extracting(self.head.query ?? 0..<0), isWebSocket: isWebSocket)
    }

    private func token(_ slot: Int) -> SocketToken { self.connections[slot]!.token }

    /// What every answer to this request has beside what it says.
    private func engineFields(_ slot: Int, _ span: RawSpan) -> [HTTPField] {
        [HTTPField("Cache-Control", "no-store")]
    }

    mutating func refuseEngineRequest(
        _ slot: Int, _ refusal: EngineRefusal, _ answering: HTTPResponseContext,
        _ fields: [HTTPField]
    ) {
        var body = ByteBuffer()
        body.append(engineRefusal: refusal)
        let fields = refusal == .unavailable ? fields + [HTTPField("Retry-After", "1")] : fields
        self.respond(
            slot,
            HTTPResponse(HTTPStatus(rawValue: refusal.status), fields: fields, body: body.bytes),
            answering)
    }

    // MARK: Which session

    enum ResolvedSession {
        case local(SocketToken)
        case remote(SessionLocation)
    }

    private mutating func forward(
        _ kind: ForwardedMessage.Kind, _ place: ResolvedSession, _ id: EngineSessionID,
        _ visitor: RequestIdentity, _ slot: Int, body: String = ""
    ) {
        guard case .remote(let home) = place else { return }
        self.forward(kind, to: home, id, by: visitor, for: self.token(slot), body)
    }

    private mutating func forward(
        _ kind: ForwardedMessage.Kind, _ post: PendingEngineRequest.ForwardedPost, _ slot: Int,
        body: String = ""
    ) {
        guard case .remote(let home) = post.place else { return }
        self.forward(
            kind, to: home, post.id, by: post.visitor, for: self.token(slot), body,
            number: post.number)
    }

    /// Whether a request is the session's: `sid` alone speaks for it, and a token that says otherwise does not.
    func isAllowed(_ visitor: RequestIdentity, for talk: WebSocketState) -> Bool {
        guard let session = talk.session, let engine = talk.engine else { return true }
        return visitor.isAllowed(
            for: .init(
                tenant: session.tenant, user: session.principal?.person.id,
                hasInvalidToken: engine.hasInvalidToken))
    }

    /// The session that a request names.
    ///
    /// - Returns: nil where another loop has it, which sees to the request: the connection is on its way there.
    private mutating func resolveSession(
        _ id: EngineSessionID, _ visitor: RequestIdentity, _ slot: Int,
        _ request: UnsafeRawBufferPointer, _ offset: inout Int, end: Int
    ) throws(EngineRefusal) -> ResolvedSession? {
        if let token = self.engineSessions[id], self.isCurrent(token) {
            if case .webSocket(let talk) = self.connections[Int(token.slot)]!.phase,
                !self.isAllowed(visitor, for: talk)
            {
                throw .forbidden
            }
            self.table.hot[Int(token.slot)].lastReceivedTick = self.tickNumber
            return .local(token)
        }
        guard let home = SessionLocation(id) else { throw .unknownSession }
        guard home.node == self.chat.id.incarnation || home.node == self.shared.settings.incarnation
        else {
            guard self.isInView(home.node) else { throw .unknownSession }
            return .remote(home)
        }
        guard home.loop < self.shared.settings.loopCount, home.loop != self.index,
            self.canMove(slot)
        else { throw .unknownSession }
        offset = end
        self.moveRequest(slot, to: home.loop, Array(request))
        return nil
    }

    // MARK: Handshakes

    /// The dialect's session for a client that comes in.
    private mutating func openEngineSession(
        _ slot: Int, _ engine: EngineEndpoint, _ span: RawSpan
    ) throws(EngineRefusal) -> (session: any DialectSession, id: EngineSessionID) {
        let limit = self.live.limits.connections
        guard self.mayConnect(), self.shared.connectionCount.load(ordering: .relaxed) <= limit
        else {
            self.counters.refusedConnections += 1
            throw .unavailable
        }
        guard let request = (try? self.dialectRequest(slot, span)) ?? nil,
            case .session(let session)? = self.shared.settings.dialects[engine.dialect].open(
                request)
        else { throw .badRequest }
        var random = SystemRandomNumberGenerator()
        return (
            session,
            SessionLocation(node: self.chat.id.incarnation, loop: self.index).makeSessionID(
                (random.next(), random.next()))
        )
    }

    private mutating func beginPolling(
        _ slot: Int, _ exchange: HTTPExchange, _ engine: EngineEndpoint,
        _ opening: (session: any DialectSession, id: EngineSessionID),
        _ answering: HTTPResponseContext, _ fields: [HTTPField], peer: SocketAddress
    ) {
        let token = self.loop.reserve()
        let request = EngineRequestID(self.token(slot))
        self.beginWaiting(
            slot, exchange,
            PendingEngineRequest(session: token, responseContext: answering, fields: fields))
        var steps = EngineSteps()
        let talk = self.makeWebSocketState(
            opening.session, dialect: engine.dialect, acceptsCompression: false, isCompressed: false
        )
        talk.engine = EngineState(
            EngineSession(
                opening.id, engine.settings, openedBy: request, at: self.now.monotonic, into: &steps
            ),
            hasInvalidToken: self.hasInvalidToken)
        talk.expiresAt = self.tokenExpiry
        _ = self.shared.connectionCount.add(1, ordering: .relaxed)
        self.addConnection(
            Connection(token: token, peer: peer, listenerRole: .clients, phase: .webSocket(talk)),
            descriptor: -1)
        self.table.hot[Int(token.slot)].flags.insert(.isPolling)
        self.engineSessions[opening.id] = token
        self.beginSession(talk, Int(token.slot))
        self.runEngineSteps(steps, of: token)
    }

    private mutating func beginWebSocket(
        _ slot: Int, _ engine: EngineEndpoint,
        _ opening: (session: any DialectSession, id: EngineSessionID), _ upgrade: WebSocketUpgrade,
        peer: SocketAddress
    ) {
        let token = self.token(slot)
        self.frameBuffer.removeAll()
        upgrade.uncompressed.appendResponse(to: &self.frameBuffer)
        self.send(slot, SharedFrame(self.frameBuffer.bytes))
        var steps = EngineSteps()
        let talk = self.makeWebSocketState(
            opening.session, dialect: engine.dialect, acceptsCompression: false, isCompressed: false
        )
        talk.engine = EngineState(
            EngineSession(
                opening.id, engine.settings, openedOn: EngineSocketID(token),
                at: self.now.monotonic, into: &steps),
            socket: EngineSocketID(token))
        talk.expiresAt = self.tokenExpiry
        self.connections[slot]!.phase = .webSocket(talk)
        self.connections[slot]!.peer = peer
        self.engineSessions[opening.id] = token
        self.runEngineSteps(steps, of: token)
        self.beginSession(talk, slot)
    }

    // MARK: Polls and POSTs

    /// The connection has a request of a session: nothing else is read from it before that is answered.
    private mutating func beginWaiting(
        _ slot: Int, _ exchange: HTTPExchange, _ engine: PendingEngineRequest
    ) {
        exchange.engineRequest = engine
        self.connections[slot]!.deadline = 0
    }

    private mutating func beginPost(
        _ slot: Int, _ exchange: HTTPExchange, _ engine: EngineEndpoint, _ session: SocketToken,
        _ answering: HTTPResponseContext,
        _ fields: [HTTPField]
    ) {
        let request = EngineRequestID(self.token(slot))
        let token = self.token(slot)
        // Answered before its body is whole, the connection ends: what comes is not read.
        let ending = HTTPResponseContext(answersHead: false, keepsAlive: false, date: self.date)
        self.beginWaiting(
            slot, exchange,
            PendingEngineRequest(
                session: session, responseContext: ending, fields: fields, isPost: true))
        guard case .webSocket(let talk)? = self.connections[Int(session.slot)]?.phase,
            let state = talk.engine
        else { return }
        var announced: Int?
        if case .bytes(let count) = self.head.body { announced = count }
        // Who is made to wait sends no more than that besides.
        if state.unreadPostBytes > engine.settings.maxPayload { announced = .max }
        self.updateEngine(session) { $0.postBegan(request, announcedBytes: announced, into: &$1) }
        guard self.isCurrent(token), let waiting = exchange.engineRequest else { return }
        waiting.responseContext = answering
        do throws(HTTPError) {
            try self.beginPostBody(slot, exchange, byteLimit: engine.settings.maxPayload, answering)
        } catch {
            self.endPostTooLong(slot, exchange)
        }
    }

    /// - Parameter isWhole: whether its body is here already, so that the session hears of all of it at once.
    private mutating func beginForwardedPost(
        _ slot: Int, _ exchange: HTTPExchange, _ engine: EngineEndpoint,
        _ carried: PendingEngineRequest.ForwardedPost, isWhole: Bool,
        _ answering: HTTPResponseContext, _ fields: [HTTPField]
    ) {
        let waiting = PendingEngineRequest(
            session: nil, responseContext: answering, fields: fields, isPost: true)
        waiting.forwardedPost = carried
        self.beginWaiting(slot, exchange, waiting)
        if !isWhole {
            let announced = if case .bytes(let count) = self.head.body { String(count) } else { "" }
            self.forward(.began, carried, slot, body: announced)
        }
        do throws(HTTPError) {
            try self.beginPostBody(slot, exchange, byteLimit: engine.settings.maxPayload, answering)
        } catch {
            self.endPostTooLong(slot, exchange)
        }
    }

    /// The body of a POST is whole.
    mutating func endPost(_ slot: Int, _ exchange: HTTPExchange, _ body: [UInt8]) {
        guard let engine = exchange.engineRequest else { return }
        if let carried = engine.forwardedPost {
            engine.forwardedPost = nil
            guard let text = String(validating: body, as: UTF8.self) else {
                return self.forward(.bytes, carried, slot, body: Base64URL.encode(body))
            }
            return self.forward(.post, carried, slot, body: text)
        }
        guard let session = engine.session else { return }
        let request = EngineRequestID(self.token(slot))
        let now = self.now.monotonic
        self.updateEngine(session, body) { $0.postEnded(request, $1, at: now, into: &$2) }
    }

    /// The body of a POST is longer than it may be.
    mutating func endPostTooLong(_ slot: Int, _ exchange: HTTPExchange) {
        guard let engine = exchange.engineRequest else { return }
        let ending = HTTPResponseContext(answersHead: false, keepsAlive: false, date: self.date)
        engine.responseContext = ending
        if let carried = engine.forwardedPost {
            engine.forwardedPost = nil
            return self.forward(.tooLong, carried, slot)
        }
        let request = EngineRequestID(self.token(slot))
        guard let session = engine.session else {
            return self.refusePending(request, engine, .payloadTooLarge)
        }
        self.updateEngine(session) { $0.postTooLarge(request, into: &$1) }
    }

    /// The connection of a request has ended before its answer.
    mutating func engineRequestAborted(_ request: SocketToken, _ engine: PendingEngineRequest) {
        guard let session = engine.session else {
            if let carried = engine.forwardedPost, case .remote(let home) = carried.place {
                self.notifyPostAborted(
                    carried.number, of: carried.id, by: carried.visitor, at: home)
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

    // MARK: WebSockets that take over

    private mutating func beginProbe(
        _ slot: Int, _ session: SocketToken, _ upgrade: WebSocketUpgrade
    ) {
        let token = self.token(slot)
        self.frameBuffer.removeAll()
        upgrade.uncompressed.appendResponse(to: &self.frameBuffer)
        self.send(slot, SharedFrame(self.frameBuffer.bytes))
        let talk = self.makeWebSocketState(
            nil, dialect: -1, acceptsCompression: false, isCompressed: false)
        talk.probedSession = session
        self.connections[slot]!.phase = .webSocket(talk)
        self.connections[slot]!.deadline = 0
        let now = self.now.monotonic
        self.updateEngine(session) { $0.socketOpened(EngineSocketID(token), at: now, into: &$1) }
    }
}

/// Where a session lives, as its name says it: no table of sessions is needed to send a request there.
struct SessionLocation {
    let node: UInt64
    let loop: Int

    init(node: UInt64, loop: Int) {
        self.node = node
        self.loop = loop
    }

    /// Nil for a name that no node gave.
    init?(_ id: EngineSessionID) {
        let parts = id.text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let node = UInt64(parts[0], radix: 36), let loop = Int(parts[1]),
            loop >= 0
        else { return nil }
        self.init(node: node, loop: loop)
    }

    /// A name for a session that lives there.
    ///
    /// - Parameter random: what nobody can guess.
    func makeSessionID(_ random: (UInt64, UInt64)) -> EngineSessionID {
        EngineSessionID(
            named:
                "\(String(self.node, radix: 36)).\(self.loop).\(EngineSessionID(random: random).text)"
        )!
    }
}
