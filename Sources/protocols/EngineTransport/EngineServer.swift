internal import Bytes
public import EngineIO
public import EventLoop

/// The Engine.IO server of one loop: its sessions over polling and WebSocket, and the requests
/// between this loop and other nodes about sessions that are not where their client connects.
///
/// A value that receives events and appends directives (`EngineDirective`). The caller has the
/// sockets, the HTTP and WebSocket protocols, the dialects and the clock. Times are milliseconds of
/// its monotonic clock.
///
/// A connection is known by its `SocketToken`. A session has a connection too: a reserved token
/// without a socket while it polls, and the token of its WebSocket otherwise. So the caller treats
/// it like any connection, and writes frames to it (`write`) where others have a socket.
///
/// A session's id names its node and loop. A request at another loop of the node moves there with
/// its connection. A request at another node is forwarded, and repeated until a reply arrives; the
/// session's node executes it once. A WebSocket at another node brings the session there.
///
/// Most messages do not come here. A text message of a session's own WebSocket that begins with
/// `EnginePacketKind.message` is for the dialect, and so is every binary message of it. Frames to a
/// session with a socket are written to that socket.
public struct EngineServer: Sendable {
    public let settings: EngineSettings
    let loop: Int
    let loopCount: Int
    /// The incarnation of the node when it started. Ids of that time contain it.
    let firstNode: UInt64
    /// The incarnation of the node.
    var node: UInt64
    var random: any RandomNumberGenerator & Sendable

    /// The sessions, by their connection.
    var sessions: [SocketToken: TransportSession] = [:]
    var sessionTokens: [EngineSessionID: SocketToken] = [:]
    /// The HTTP connections with a pending request.
    var requests: [SocketToken: LocalRequest] = [:]
    /// The WebSockets that are to take over a session.
    var probes: [SocketToken: TransportProbe] = [:]
    /// The requests that were forwarded to other nodes, by number.
    var outboundRequests: [UInt64: OutboundRequest] = [:]
    /// The WebSockets that are to take over sessions on other nodes, by number of their request.
    var outboundProbes: [UInt64: SocketToken] = [:]
    /// The replies of ended sessions, by the number of the request.
    var retainedReplies: [UInt64: RetainedReply] = [:]
    /// The sessions that were written to since the last flush, and the directives of those writes.
    var unflushed: [SocketToken] = []
    var deferred = EngineDirectives()

    /// - Parameters:
    ///   - loop: the number of this loop.
    ///   - node: the node's incarnation.
    ///   - random: a cryptographic generator, because session ids must be unguessable.
    public init(
        _ settings: EngineSettings, loop: Int, loopCount: Int, node: UInt64,
        random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
    ) {
        self.settings = settings
        self.loop = loop
        self.loopCount = loopCount
        self.firstNode = node
        self.node = node
        self.random = random
    }

    /// The node continues in the cluster under another incarnation. Ids of new sessions contain it.
    public mutating func rejoin(as node: UInt64) {
        self.node = node
    }

    // MARK: Queries

    /// The connection of the session with this id, if this loop has the session.
    public func session(_ id: EngineSessionID) -> SocketToken? { self.sessionTokens[id] }

    /// Whether the client has not received everything that `write` has accepted, or nothing can be
    /// written at the moment because its socket is being attached.
    public func hasWaitingPackets(_ session: SocketToken) -> Bool {
        guard let state = self.sessions[session] else { return false }
        return state.engine.waitingPackets > 0 || state.isAttaching
    }

    /// The bytes of packets that wait for the session's polls.
    public func waitingBytes(_ session: SocketToken) -> Int {
        self.sessions[session]?.engine.waitingBytes ?? 0
    }

    /// When `tick` must be called for the session; nil for never. Every event may move it forward.
    public func deadline(_ session: SocketToken) -> Int64? {
        self.sessions[session]?.engine.deadline
    }

    /// The milliseconds from the session's last answered ping to its pong; nil before the first
    /// pong.
    public func roundTrip(_ session: SocketToken) -> Int? {
        self.sessions[session]?.engine.roundTrip.map { Int(clamping: $0) }
    }

    // MARK: Time

    /// Handles what is due in a session: pings, timeouts, and requests of nodes that do not repeat
    /// them any more.
    public mutating func tick(
        _ session: SocketToken, at now: Int64, into directives: inout EngineDirectives
    ) {
        self.expireInboundRequests(session, at: now, into: &directives)
        self.update(session, into: &directives) { $0.tick(at: now, into: &$1) }
    }

    // MARK: Changes to sessions

    /// Passes an event to a session and translates its steps. Does nothing without the session.
    ///
    /// - Parameter input: the bytes that the event contains.
    mutating func update(
        _ session: SocketToken, input: [UInt8] = [], into directives: inout EngineDirectives,
        _ body: (inout EngineSession, inout EngineSteps) -> Void
    ) {
        var steps = EngineSteps()
        // In place: a copy of the session would copy its queue with the next packet.
        guard self.sessions[session]?.update(&steps, body) != nil else { return }
        if !input.isEmpty { directives.setInput(input) }
        self.translate(steps, of: session, into: &directives)
    }

    mutating func translate(
        _ steps: EngineSteps, of session: SocketToken, into directives: inout EngineDirectives
    ) {
        for step in steps.list {
            switch step {
            case .answer(let request, let answer):
                self.answer(request, EngineResponse(answer, steps), of: session, into: &directives)
            case .send(_, let socket) where socket.isForwarded:
                self.reply(
                    to: EngineRequestID(socket), .accepted, of: session, into: &directives)
            case .closeSocket(let socket, let code, let reason) where socket.isForwarded:
                self.replyProbeClosed(socket, code: code, reason, of: session, into: &directives)
            case .send(let packet, let socket):
                directives.append(.sendPacket(packet, self.connection(of: socket, session)))
            case .closeSocket(let socket, let code, let reason):
                directives.append(
                    .closeSocket(self.connection(of: socket, session), code: code, reason: reason))
            case .message(let range):
                directives.append(.message(session, range))
            case .binary:
                directives.append(.binaryMessage(session))
            case .control:
                directives.append(.controlPacket(session))
            case .upgraded(let socket):
                self.sessions[session]?.socket = .attaching(socket)
                directives.append(.takeOver(SocketToken(socket), of: session))
            case .closed(let closure):
                self.sessionClosed(session, closure, into: &directives)
            }
        }
        directives.append(.updated(session))
    }

    /// The connection with a session's WebSocket: the session's own connection, or one that is
    /// still to be attached to it.
    private func connection(of socket: EngineSocketID, _ session: SocketToken) -> SocketToken {
        self.sessions[session]?.socket.id == socket ? session : SocketToken(socket)
    }

    /// Answers a request of this node or another one.
    mutating func answer(
        _ request: EngineRequestID, _ response: EngineResponse, of session: SocketToken,
        into directives: inout EngineDirectives
    ) {
        if request.isForwarded {
            return self.reply(to: request, response, of: session, into: &directives)
        }
        self.respond(to: SocketToken(request), response, into: &directives)
        if case .payload = response { directives.append(.resumeWriting(session)) }
    }

    /// Ends a pending request with its response.
    mutating func respond(
        to connection: SocketToken, _ response: EngineResponse, closes: Bool = false,
        into directives: inout EngineDirectives
    ) {
        let request = self.requests.removeValue(forKey: connection)
        directives.append(
            .respond(connection, response, closes: closes || request?.closes ?? false))
    }

    /// A session has ended. The connection of a polling session is dropped, and until then its id
    /// is known. A WebSocket has got a close frame, and its connection ends by the handshake.
    private mutating func sessionClosed(
        _ session: SocketToken, _ closure: EngineClosure, into directives: inout EngineDirectives
    ) {
        guard let state = self.sessions[session] else { return }
        if state.isAttached {
            self.sessionTokens[state.engine.id] = nil
        } else {
            directives.append(.endSession(session, code: closure.webSocketCode))
        }
    }
}

extension EngineResponse {
    /// The answer of a session.
    ///
    /// - Parameter steps: contain the payload.
    init(_ answer: EngineAnswer, _ steps: EngineSteps) {
        self =
            switch answer {
            case .payload(let range): .payload(Array(steps.text.bytes[range]))
            case .accepted: .accepted
            case .refused(let refusal): .refused(refusal)
            }
    }
}
