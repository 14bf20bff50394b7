import Bytes
import EngineIO
import EventLoop
import SeededRandom

@testable import EngineTransport

/// The server of one loop with the smallest gateway that executes its directives.
///
/// A client's connection has one token for its lifetime. When a session has got the socket of a
/// WebSocket, the loop maps the client's token to the session's.
struct SimulatedEngineLoop {
    /// The output of the loop.
    enum Output {
        case response(SocketToken, EngineResponse)
        case moved(SocketToken, toLoop: Int)
        case accepted(SocketToken)
        case frame(SocketToken, String)
        case closed(SocketToken, String)
        case message(String)
        case toNode(UInt64, loop: UInt16, String)
        case ended(UInt16)
        case adopted
    }

    typealias Event = (inout EngineServer, Int64, inout EngineDirectives) -> Void

    private(set) var server: EngineServer
    private var random: SeededGenerator
    private var output: [Output] = []
    var now: Int64 = 0

    /// Packets that a session has not accepted, with their companions' flags.
    private var backlogs: [SocketToken: [EngineFrame]] = [:]
    /// Sessions whose messages are not read at the moment.
    private var pausedSessions: Set<SocketToken> = []
    /// Bodies of POSTs, complete or not.
    private var bodies: [SocketToken: (bytes: [UInt8], isComplete: Bool)] = [:]
    private var webSockets: Set<SocketToken> = []
    private var timeouts: [SocketToken: Int64] = [:]
    /// Frames from clients whose WebSockets are paused.
    private var unread: [SocketToken: [String]] = [:]
    private var takeOvers: [(socket: SocketToken, session: SocketToken)] = []
    /// The sessions of clients' sockets, and the reverse.
    private var attachedSessions: [SocketToken: SocketToken] = [:]
    private var sockets: [SocketToken: SocketToken] = [:]

    init(_ settings: EngineSettings, node: UInt64, loop: Int, loops: Int, seed: UInt64) {
        self.random = SeededGenerator(seed: seed)
        self.server = EngineServer(
            settings, loop: loop, loopCount: loops, node: node,
            random: SeededGenerator(seed: seed &+ 1))
    }

    var sessions: [SocketToken] { Array(self.server.sessions.keys) }

    /// Whether nothing is stored, so that nothing can leak.
    var isEmpty: Bool {
        self.server.sessions.isEmpty && self.server.sessionTokens.isEmpty
            && self.server.requests.isEmpty && self.server.probes.isEmpty
            && self.server.outboundProbes.isEmpty && !self.server.needsRetry
            && !self.server.needsFlush
    }

    mutating func takeOutput() -> [Output] {
        defer { self.output = [] }
        return self.output
    }

    // MARK: Requests and frames

    /// Executes an event and its directives.
    mutating func run(_ event: Event) {
        var directives = EngineDirectives()
        event(&self.server, self.now, &directives)
        for directive in directives.list { self.execute(directive, directives.input) }
    }

    mutating func receive(
        _ request: EngineRequest, on token: SocketToken, body: [UInt8], isWhole: Bool,
        proof: EnginePollProof
    ) {
        func described(_ id: EngineSessionID) -> EngineSessionRequest {
            EngineSessionRequest(
                for: id, on: token, by: .noToken,
                owner: EngineSessionOwner(tenant: "t", user: nil), proof: proof, canMove: true)
        }
        switch request {
        case .handshake:
            let session = SocketToken(slot: token.slot, generation: 2)
            self.run {
                $0.openSession(session, by: token, hasInvalidToken: false, at: $1, into: &$2)
            }
        case .poll(let id):
            self.run { $0.poll(described(id), at: $1, isMember: { _ in true }, into: &$2) }
        case .post(let id):
            self.bodies[token] = (body, isWhole)
            self.run {
                $0.post(
                    described(id), announcedBytes: isWhole ? body.count : nil, isWhole: isWhole,
                    at: $1, isMember: { _ in true }, into: &$2)
            }
        case .upgrade(let id):
            self.run { $0.upgrade(described(id), at: $1, isMember: { _ in true }, into: &$2) }
        }
    }

    mutating func completeBody(_ token: SocketToken) {
        guard let body = self.bodies.removeValue(forKey: token) else { return }
        self.run { $0.bodyReceived(body.bytes, of: token, at: $1, into: &$2) }
    }

    mutating func receive(_ text: String, on socket: SocketToken) {
        guard self.webSockets.contains(socket) else { return }
        if self.unread[socket] != nil || self.mustWait(socket) {
            self.unread[socket, default: []].append(text)
        } else if self.attachedSessions[socket] != nil, text.hasPrefix("4") {
            self.output.append(.message(String(text.dropFirst())))
        } else {
            let connection = self.attachedSessions[socket] ?? socket
            self.run { $0.received(Array(text.utf8), on: connection, at: $1, into: &$2) }
        }
    }

    /// Whether the session reads nothing from its socket at the moment.
    private func mustWait(_ socket: SocketToken) -> Bool {
        self.attachedSessions[socket].map {
            self.pausedSessions.contains($0) || self.server.hasUnread($0)
        } ?? false
    }

    /// A client closes its connection.
    mutating func drop(_ token: SocketToken) {
        self.forget(token)
        let connection = self.attachedSessions.removeValue(forKey: token) ?? token
        self.run { $0.connectionDropped(connection, at: $1, into: &$2) }
    }

    private mutating func forget(_ token: SocketToken) {
        self.bodies[token] = nil
        self.webSockets.remove(token)
        self.timeouts[token] = nil
        self.unread[token] = nil
    }

    // MARK: Turns and time

    /// Writes packets to a session. The second one of a pair stays with the first.
    mutating func write(_ packets: [String], to session: SocketToken) {
        for (index, packet) in packets.enumerated() {
            let packet = SharedPacket(SharedFrame(Array(packet.utf8)))
            self.write(.packet(packet, staysWithPrevious: index > 0), to: session)
        }
    }

    private mutating func write(_ frame: EngineFrame, to session: SocketToken) {
        if let socket = self.sockets[session], case .packet(let packet, _) = frame {
            self.output.append(.frame(socket, EngineServerDriver.text(packet)))
        } else if self.backlogs[session]?.isEmpty == false
            || !self.server.write(frame, to: session, at: self.now)
        {
            self.backlogs[session, default: []].append(frame)
        }
    }

    private mutating func drainBacklog(_ session: SocketToken) {
        guard let frames = self.backlogs.removeValue(forKey: session) else { return }
        for frame in frames { self.write(frame, to: session) }
    }

    mutating func endTurn() {
        while self.server.needsFlush { self.run { $0.flush(into: &$2) } }
        let takeOvers = self.takeOvers
        self.takeOvers = []
        for (socket, session) in takeOvers {
            guard self.webSockets.contains(socket) else {
                self.run { $0.connectionDropped(session, at: $1, into: &$2) }
                continue
            }
            self.sockets[session] = socket
            self.attachedSessions[socket] = session
            self.server.socketAttached(session)
            self.drainBacklog(session)
            self.resumeReading(socket)
        }
    }

    private mutating func resumeReading(_ socket: SocketToken) {
        guard let frames = self.unread.removeValue(forKey: socket) else { return }
        for frame in frames { self.receive(frame, on: socket) }
    }

    mutating func tick() {
        if self.server.needsRetry {
            self.run { $0.retry(at: $1, isMember: { _ in true }, into: &$2) }
        }
        for session in self.sessions
        where self.server.deadline(session) ?? .max <= self.now {
            self.run { $0.tick(session, at: $1, into: &$2) }
        }
        for (socket, deadline) in self.timeouts where deadline <= self.now {
            self.output.append(.closed(socket, "timeout"))
            self.drop(socket)
        }
    }

    /// Stops reading from the client of a session, or reads what has arrived.
    mutating func togglePause(_ session: SocketToken, isEnd: Bool = false) {
        if !isEnd, self.pausedSessions.insert(session).inserted { return }
        self.pausedSessions.remove(session)
        for message in self.server.removeUnread(of: session) {
            self.output.append(.message(String(decoding: message, as: UTF8.self)))
        }
        if let socket = self.sockets[session] { self.resumeReading(socket) }
    }

    // MARK: Directives

    private mutating func execute(_ directive: EngineDirective, _ input: [UInt8]) {
        switch directive {
        case .respond(let token, let response, _): self.output.append(.response(token, response))
        case .receiveBody(let token):
            if self.bodies[token]?.isComplete == true { self.completeBody(token) }
        case .moveRequest(let token, let loop):
            self.bodies[token] = nil
            self.output.append(.moved(token, toLoop: loop))
        case .acceptWebSocket(let token, let timeout):
            self.webSockets.insert(token)
            if let timeout { self.timeouts[token] = self.now + timeout }
            self.output.append(.accepted(token))
        case .sendPacket(let packet, let token):
            if self.webSockets.contains(token) {
                self.output.append(.frame(token, EngineServerDriver.text(packet)))
            } else {
                self.write(.packet(packet, staysWithPrevious: false), to: token)
            }
        case .closeSocket(let token, _, let reason):
            let socket = self.sockets[token] ?? token
            self.output.append(.closed(socket, reason))
            self.drop(socket)
        case .pauseReading(let socket): self.unread[socket] = []
        case .takeOver(let socket, let session):
            self.unread[socket] = []
            self.takeOvers.append((socket, session))
        case .adopt(let socket, let transfer):
            self.timeouts[socket] = nil
            self.server.adopted(socket, at: self.now)
            self.attachedSessions[socket] = socket
            self.sockets[socket] = socket
            self.output.append(.adopted)
            self.output += transfer.packets.map { .frame(socket, $0) }
            self.resumeReading(socket)
        case .message(let session, let range):
            let isPaused = self.pausedSessions.contains(session)
            if !self.server.retainUnread(input[range], of: session, isReadingPaused: isPaused) {
                self.output.append(.message(String(decoding: input[range], as: UTF8.self)))
            }
        case .resumeWriting(let session): self.drainBacklog(session)
        case .prepareTransfer(let session, let request):
            self.prepareTransfer(session, request)
        case .endSession(let session, let code):
            self.output.append(.ended(code))
            self.run { $0.connectionDropped(session, at: $1, into: &$2) }
        case .dropSession(let session):
            self.run { $0.connectionDropped(session, at: $1, into: &$2) }
        case .sendToNode(let node, let loop, let text):
            self.output.append(.toNode(node, loop: loop, text))
        case .binaryMessage, .controlPacket, .updated: break
        }
    }

    /// Sometimes an answer is outstanding, so that the session cannot move.
    private mutating func prepareTransfer(_ session: SocketToken, _ request: EngineTransferRequest)
    {
        guard self.random.happens(perMille: 700) else { return }
        let backlog: [SharedPacket] = (self.backlogs.removeValue(forKey: session) ?? []).compactMap
        {
            if case .packet(let packet, _) = $0 { packet } else { nil }
        }
        self.run {
            $0.transfer(
                session, for: request, snapshot: "state", expiresAfter: 0, backlog: backlog,
                at: $1, into: &$2)
        }
    }
}
