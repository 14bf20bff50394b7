internal import Bytes
public import EngineIO
public import EventLoop

/// A request for an existing session, as far as it decides where the request is executed.
public struct EngineSessionRequest: Sendable {
    public let connection: SocketToken
    public let session: EngineSessionID
    public let identity: EngineRequestIdentity
    /// The owner of `EngineServer.session(_:)`; nil if this loop does not have the session.
    public let owner: EngineSessionOwner?
    /// For a poll: what proves that its answer has arrived.
    public let proof: EnginePollProof
    /// Whether the connection can move to another loop: every earlier response has been sent.
    public let canMove: Bool

    public init(
        for session: EngineSessionID, on connection: SocketToken,
        by identity: EngineRequestIdentity,
        owner: EngineSessionOwner?, proof: EnginePollProof = .nextPoll, canMove: Bool
    ) {
        self.connection = connection
        self.session = session
        self.identity = identity
        self.owner = owner
        self.proof = proof
        self.canMove = canMove
    }
}

/// Requests of clients over HTTP.
///
/// From the event to `respond`, `moveRequest` or `acceptWebSocket` the connection has a pending
/// request. The caller reads nothing else from it, and applies no timeout but that of a body.
extension EngineServer {
    // MARK: Handshakes

    /// Opens a session that begins with polling.
    ///
    /// - Parameters:
    ///   - session: a reserved token for the session's connection.
    ///   - request: the connection of the handshake.
    ///   - hasInvalidToken: whether the handshake had an invalid token.
    public mutating func openSession(
        _ session: SocketToken, by request: SocketToken, hasInvalidToken: Bool, at now: Int64,
        into directives: inout EngineDirectives
    ) {
        var steps = EngineSteps()
        let engine = EngineSession(
            self.makeSessionID(), self.settings, openedBy: EngineRequestID(request), at: now,
            into: &steps)
        self.insert(TransportSession(engine, hasInvalidToken: hasInvalidToken), session)
        self.requests[request] = LocalRequest(.poll(session))
        self.translate(steps, of: session, into: &directives)
    }

    /// Opens a session that begins with a WebSocket. The caller has sent the upgrade.
    ///
    /// - Parameter session: the connection of the WebSocket.
    public mutating func openSession(
        onWebSocket session: SocketToken, at now: Int64, into directives: inout EngineDirectives
    ) {
        var steps = EngineSteps()
        let socket = EngineSocketID(session)
        let engine = EngineSession(
            self.makeSessionID(), self.settings, openedOn: socket, at: now, into: &steps)
        self.insert(TransportSession(engine, socket: .attached(socket)), session)
        self.translate(steps, of: session, into: &directives)
    }

    mutating func insert(_ state: TransportSession, _ session: SocketToken) {
        self.sessionTokens[state.engine.id] = session
        self.sessions[session] = state
    }

    private mutating func makeSessionID() -> EngineSessionID {
        let random = (self.random.next(), self.random.next())
        return EngineSessionAddress.makeID(node: self.node, loop: self.loop, random: random)
    }

    // MARK: Polls, POSTs and upgrades

    /// A GET that waits for packets.
    ///
    /// - Parameter isMember: whether a node is in the cluster's view. A node outside has no
    ///   sessions.
    public mutating func poll(
        _ request: EngineSessionRequest, at now: Int64, isMember: (UInt64) -> Bool,
        into directives: inout EngineDirectives
    ) {
        let connection = request.connection
        switch self.resolve(request, isMember, refusalCloses: false, into: &directives) {
        case .session(let session):
            self.requests[connection] = LocalRequest(.poll(session))
            self.update(session, into: &directives) {
                $0.poll(
                    EngineRequestID(connection), provenBy: request.proof, at: now, into: &$1)
            }
        case .node(let address):
            self.forwardRequest(.poll, request, to: address, at: now, into: &directives)
        case nil: break
        }
    }

    /// The head of a POST. If the server expects the body, a directive requests it.
    ///
    /// - Parameters:
    ///   - announcedBytes: its `Content-Length`; nil for a chunked body.
    ///   - isWhole: whether the complete body has arrived with the head, so that one message to
    ///     another node is sufficient.
    public mutating func post(
        _ request: EngineSessionRequest, announcedBytes: Int?, isWhole: Bool, at now: Int64,
        isMember: (UInt64) -> Bool, into directives: inout EngineDirectives
    ) {
        // After an unread body the next request cannot be found.
        let hasBody = announcedBytes != 0
        switch self.resolve(request, isMember, refusalCloses: hasBody, into: &directives) {
        case .session(let session):
            self.beginPost(
                request.connection, session, announcedBytes: announcedBytes, into: &directives)
        case .node(let address):
            let post = LocalRequest.ForwardedPost(
                number: self.makeNumber(), address: address, identity: request.identity)
            self.requests[request.connection] = LocalRequest(.receivingPost(post))
            if !isWhole {
                self.forward(
                    .postStarted, post, for: request.connection,
                    body: announcedBytes.map(String.init) ?? "", at: now, into: &directives)
            }
            directives.append(.receiveBody(request.connection))
        case nil: break
        }
    }

    private mutating func beginPost(
        _ connection: SocketToken, _ session: SocketToken, announcedBytes: Int?,
        into directives: inout EngineDirectives
    ) {
        // If the session answers before the body is complete, the rest is not read.
        self.requests[connection] = LocalRequest(.post(session), closes: true)
        let hasTooMuchUnread = self.sessions[session]?.hasTooMuchUnread(self.settings) ?? false
        self.update(session, into: &directives) {
            $0.postBegan(
                EngineRequestID(connection),
                announcedBytes: hasTooMuchUnread ? .max : announcedBytes, into: &$1)
        }
        guard self.requests[connection] != nil else { return }
        self.requests[connection]?.closes = false
        directives.append(.receiveBody(connection))
    }

    /// The body of a POST is complete.
    public mutating func bodyReceived(
        _ body: [UInt8], of connection: SocketToken, at now: Int64,
        into directives: inout EngineDirectives
    ) {
        switch self.requests[connection]?.state {
        case .post(let session):
            self.update(session, input: body, into: &directives) {
                $0.postEnded(EngineRequestID(connection), body.span.bytes, at: now, into: &$1)
            }
        case .receivingPost(let post):
            self.requests[connection]?.state = .forwarded(post.number)
            if let text = String(validating: body, as: UTF8.self) {
                self.forward(
                    .post, post, for: connection, body: text, at: now, into: &directives)
            } else {
                self.forward(
                    .binaryPost, post, for: connection, body: Base64URL.encode(body), at: now,
                    into: &directives)
            }
        case .poll, .forwarded, nil: break
        }
    }

    /// The body of a POST exceeds `EngineSettings.maxPayload`. The rest of it is not read.
    public mutating func bodyTooLong(
        of connection: SocketToken, at now: Int64, into directives: inout EngineDirectives
    ) {
        self.requests[connection]?.closes = true
        switch self.requests[connection]?.state {
        case .post(let session):
            self.update(session, into: &directives) {
                $0.postTooLarge(EngineRequestID(connection), into: &$1)
            }
        case .receivingPost(let post):
            self.requests[connection]?.state = .forwarded(post.number)
            self.forward(.postTooLong, post, for: connection, body: "", at: now, into: &directives)
        case .poll, .forwarded, nil: break
        }
    }

    /// A request for a WebSocket that is to take over a polling session. The request is valid.
    public mutating func upgrade(
        _ request: EngineSessionRequest, at now: Int64, isMember: (UInt64) -> Bool,
        into directives: inout EngineDirectives
    ) {
        let connection = request.connection
        switch self.resolve(request, isMember, refusalCloses: false, into: &directives) {
        case .session(let session):
            directives.append(.acceptWebSocket(connection, timeout: nil))
            self.probes[connection] = .local(session)
            self.update(session, into: &directives) {
                $0.socketOpened(EngineSocketID(connection), at: now, into: &$1)
            }
        case .node(let address):
            self.forwardRequest(.probe, request, to: address, at: now, into: &directives)
        case nil: break
        }
    }

    // MARK: Finding the session

    private enum Destination {
        case session(SocketToken)
        case node(EngineSessionAddress)
    }

    /// Finds the session of a request. Nil if the request is refused or moves to another loop.
    private mutating func resolve(
        _ request: EngineSessionRequest, _ isMember: (UInt64) -> Bool, refusalCloses: Bool,
        into directives: inout EngineDirectives
    ) -> Destination? {
        do throws(EngineRefusal) {
            switch try self.location(of: request, isMember) {
            case .session(let token): return .session(token)
            case .node(let address): return .node(address)
            case .loop(let loop):
                directives.append(.moveRequest(request.connection, toLoop: loop))
            }
        } catch {
            directives.append(
                .respond(request.connection, .refused(error), closes: refusalCloses))
        }
        return nil
    }

    private enum Location {
        case session(SocketToken)
        case loop(Int)
        case node(EngineSessionAddress)
    }

    private func location(of request: EngineSessionRequest, _ isMember: (UInt64) -> Bool)
        throws(EngineRefusal) -> Location
    {
        if let token = self.sessionTokens[request.session],
            let session = self.sessions[token]
        {
            guard
                request.identity.isAllowed(
                    for: request.owner, hasInvalidToken: session.hasInvalidToken)
            else { throw .forbidden }
            return .session(token)
        }
        guard let address = EngineSessionAddress(request.session) else { throw .unknownSession }
        guard address.node == self.node || address.node == self.firstNode else {
            guard isMember(address.node) else { throw .unknownSession }
            return .node(address)
        }
        let loop = Int(address.loop)
        guard loop < self.loopCount, loop != self.loop, request.canMove else {
            throw .unknownSession
        }
        return .loop(loop)
    }
}
