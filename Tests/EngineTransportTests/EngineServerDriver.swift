import Bytes
import ChatModel
import EngineIO
import EventLoop
import HTTPWire

@testable import EngineTransport

/// Counts, so that a test knows every number and every session id.
struct CountingGenerator: RandomNumberGenerator, Sendable {
    private var count: UInt64 = 0

    mutating func next() -> UInt64 {
        self.count += 1
        return self.count
    }
}

extension SocketToken {
    /// A connection of a test.
    init(_ number: Int) { self.init(slot: UInt32(number), generation: 1) }
}

/// Drives the server of one loop as a gateway would. Connections are small numbers, and each event
/// returns its directives as lines of text.
struct EngineServerDriver {
    static let settings = EngineSettings(
        pingInterval: 300_000, pingTimeout: 200, maxPayload: 30, postPackets: 5, answerPackets: 4,
        upgradeTimeout: 10_000)
    /// The connection of the session that `openPolling` opens.
    static let session = 100
    /// The other node of the view.
    static let other: UInt64 = 9

    var server: EngineServer
    var now: Int64 = 1000
    var members: Set<UInt64> = [7, EngineServerDriver.other]
    var owner = EngineSessionOwner(tenant: "t", user: UserID(tokenSubject: "ann"))
    /// The number of `updated` directives of the last event.
    private(set) var updates = 0
    /// The requests to transfer a session, in order.
    private(set) var transfers: [EngineTransferRequest] = []

    /// - Parameter node: the node's incarnation.
    init(node: UInt64 = 7, loop: Int = 1, settings: EngineSettings = EngineServerDriver.settings) {
        self.server = EngineServer(
            settings, loop: loop, loopCount: 3, node: node, random: CountingGenerator())
    }

    // MARK: HTTP requests

    /// Opens a session, and returns its id.
    mutating func openPolling(
        _ session: Int = EngineServerDriver.session, hasInvalidToken: Bool = false
    ) -> EngineSessionID {
        _ = self.run {
            $0.openSession(
                SocketToken(session), by: SocketToken(0), hasInvalidToken: hasInvalidToken,
                at: $1, into: &$2)
        }
        return self.id(session)
    }

    func id(_ session: Int = EngineServerDriver.session) -> EngineSessionID {
        self.server.sessions[SocketToken(session)]?.engine.id ?? EngineSessionID(random: (0, 0))
    }

    private func request(
        _ id: EngineSessionID, _ connection: Int, _ identity: EngineRequestIdentity,
        proof: EnginePollProof = .nextPoll, canMove: Bool = true
    ) -> EngineSessionRequest {
        EngineSessionRequest(
            for: id, on: SocketToken(connection), by: identity,
            owner: self.server.session(id).map { _ in self.owner }, proof: proof,
            canMove: canMove)
    }

    mutating func poll(
        _ id: EngineSessionID, _ connection: Int, by identity: EngineRequestIdentity = .noToken,
        proof: EnginePollProof = .nextPoll, canMove: Bool = true
    ) -> [String] {
        let members = self.members
        let request = self.request(id, connection, identity, proof: proof, canMove: canMove)
        return self.run {
            $0.poll(request, at: $1, isMember: members.contains, into: &$2)
        }
    }

    mutating func postHead(
        _ id: EngineSessionID, _ connection: Int, by identity: EngineRequestIdentity = .noToken,
        bytes: Int?, isWhole: Bool = false
    ) -> [String] {
        let members = self.members
        let request = self.request(id, connection, identity)
        return self.run {
            $0.post(
                request, announcedBytes: bytes, isWhole: isWhole, at: $1,
                isMember: members.contains, into: &$2)
        }
    }

    mutating func body(_ bytes: [UInt8], _ connection: Int) -> [String] {
        self.run { $0.bodyReceived(bytes, of: SocketToken(connection), at: $1, into: &$2) }
    }

    mutating func body(_ text: String, _ connection: Int) -> [String] {
        self.body(Array(text.utf8), connection)
    }

    mutating func bodyTooLong(_ connection: Int) -> [String] {
        self.run { $0.bodyTooLong(of: SocketToken(connection), at: $1, into: &$2) }
    }

    /// A POST that arrives at once.
    mutating func post(
        _ id: EngineSessionID, _ connection: Int, by identity: EngineRequestIdentity = .noToken,
        _ text: String
    ) -> [String] {
        self.postHead(id, connection, by: identity, bytes: text.utf8.count, isWhole: true)
            + self.body(text, connection)
    }

    mutating func upgrade(
        _ id: EngineSessionID, _ connection: Int, by identity: EngineRequestIdentity = .noToken
    ) -> [String] {
        let members = self.members
        let request = self.request(id, connection, identity)
        return self.run {
            $0.upgrade(request, at: $1, isMember: members.contains, into: &$2)
        }
    }

    // MARK: WebSockets and connections

    mutating func openWebSocket(_ session: Int) -> [String] {
        self.run { $0.openSession(onWebSocket: SocketToken(session), at: $1, into: &$2) }
    }

    mutating func receive(_ text: String, on socket: Int) -> [String] {
        self.run { $0.received(Array(text.utf8), on: SocketToken(socket), at: $1, into: &$2) }
    }

    mutating func receiveBinary(on socket: Int) -> [String] {
        self.run { $0.receivedBinary(on: SocketToken(socket), into: &$2) }
    }

    mutating func drop(_ connection: Int) -> [String] {
        self.run { $0.connectionDropped(SocketToken(connection), at: $1, into: &$2) }
    }

    /// A WebSocket of this loop takes over the session, and its socket is attached.
    mutating func takeOver(_ id: EngineSessionID, on socket: Int, for session: Int) {
        _ = self.upgrade(id, socket) + self.receive("2probe", on: socket)
        _ = self.receive("5", on: socket)
        self.server.socketAttached(SocketToken(session))
    }

    // MARK: Output

    mutating func write(
        _ packet: String, staysWithPrevious: Bool = false,
        to session: Int = EngineServerDriver.session
    ) -> Bool {
        let packet = SharedPacket(SharedFrame(Array(packet.utf8)))
        return self.server.write(
            .packet(packet, staysWithPrevious: staysWithPrevious), to: SocketToken(session),
            at: self.now)
    }

    mutating func writeClose(code: UInt16, to session: Int = EngineServerDriver.session) -> Bool {
        self.server.write(
            .close(code: code, reason: "over"), to: SocketToken(session), at: self.now)
    }

    mutating func flush() -> [String] { self.run { $0.flush(into: &$2) } }

    // MARK: Time and nodes

    mutating func tick(after time: Int64, _ session: Int = EngineServerDriver.session) -> [String] {
        self.now += time
        return self.run { $0.tick(SocketToken(session), at: $1, into: &$2) }
    }

    mutating func retry(after time: Int64 = 0) -> [String] {
        self.now += time
        let members = self.members
        return self.run { $0.retry(at: $1, isMember: members.contains, into: &$2) }
    }

    /// Receives a message, in which `#1` is the number 1 of a request.
    mutating func receive(_ text: String, fromNode node: UInt64 = 9) -> [String] {
        guard let message = EngineNodeMessage(Self.expanded(text)) else { return ["unknown"] }
        var owner: EngineSessionOwner?
        if case .request(let request) = message, self.server.session(request.session) != nil {
            owner = self.owner
        }
        return self.run { $0.received(message, from: node, owner: owner, at: $1, into: &$2) }
    }

    /// A request of the other node for a session of this loop.
    mutating func ask(
        _ kind: String, _ number: Int, for id: EngineSessionID? = nil, by identity: String = "-",
        _ body: String = ""
    ) -> [String] {
        let number = number == 0 ? "0" : "#\(number)"
        return self.receive(
            "ask \(kind) \(number) 2 \((id ?? self.id()).text) \(identity)\n\(body)")
    }

    /// The transfer that the last `prepareTransfer` has requested.
    mutating func transfer(
        _ session: Int = EngineServerDriver.session, snapshot: String?, expiresAfter: Int64 = 0,
        backlog: [String] = []
    ) -> [String] {
        guard let request = self.transfers.last else { return ["no request"] }
        let packets = backlog.map { SharedPacket(SharedFrame(Array($0.utf8))) }
        return self.run {
            $0.transfer(
                SocketToken(session), for: request, snapshot: snapshot, expiresAfter: expiresAfter,
                backlog: packets, at: $1, into: &$2)
        }
    }

    // MARK: Directives

    mutating func run(
        _ body: (inout EngineServer, Int64, inout EngineDirectives) -> Void
    ) -> [String] {
        var directives = EngineDirectives()
        body(&self.server, self.now, &directives)
        self.updates = 0
        return directives.list.compactMap { directive in
            switch directive {
            case .updated: self.updates += 1
            case .prepareTransfer(_, let request): self.transfers.append(request)
            default: break
            }
            return Self.line(directive, directives.input)
        }
    }

    private static func line(_ directive: EngineDirective, _ input: [UInt8]) -> String? {
        switch directive {
        case .respond(let connection, let response, let closes):
            "respond \(connection.slot): \(self.summary(response))" + (closes ? ", close" : "")
        case .receiveBody(let connection): "receive body \(connection.slot)"
        case .moveRequest(let connection, let loop): "move \(connection.slot) to loop \(loop)"
        case .acceptWebSocket(let connection, let timeout):
            "accept \(connection.slot)" + (timeout.map { " for \($0) ms" } ?? "")
        case .sendPacket(let packet, let socket): "send \(socket.slot): \(self.text(packet))"
        case .closeSocket(let socket, let code, let reason):
            "close \(socket.slot): \(code) \(reason)"
        case .pauseReading(let socket): "pause \(socket.slot)"
        case .takeOver(let socket, let session): "attach \(socket.slot) to \(session.slot)"
        case .adopt(let socket, let transfer):
            "adopt \(socket.slot): \(transfer.expiresAfter) \(transfer.state) \(transfer.packets)"
        case .message(let session, let range):
            "message \(session.slot): \(String(decoding: input[range], as: UTF8.self))"
        case .binaryMessage(let session): "binary \(session.slot)"
        case .controlPacket(let session): "control \(session.slot)"
        case .resumeWriting(let session): "resume \(session.slot)"
        case .prepareTransfer(let session, _): "prepare transfer \(session.slot)"
        case .endSession(let session, let code): "end \(session.slot): \(code)"
        case .dropSession(let session): "drop \(session.slot)"
        case .sendToNode(let node, let loop, let text):
            "to \(node).\(loop): \(self.abbreviated(text))"
        case .updated: nil
        }
    }

    private static func summary(_ response: EngineResponse) -> String {
        switch response {
        case .payload(let packets): self.abbreviated(String(decoding: packets, as: UTF8.self))
        case .accepted: "ok"
        case .refused(let refusal): "\(refusal.status) \(refusal.message)"
        }
    }

    static func text(_ packet: SharedPacket) -> String {
        packet.withBytes { String(decoding: $0, as: UTF8.self) }
    }

    private static let numbers = (0..<50).map { (text: "\(1 << 63 | UInt64($0))", name: "#\($0)") }

    /// Numbers of requests as `#1`, `#2` …, separators of packets as ` + `.
    private static func abbreviated(_ text: String) -> String {
        self.numbers.reduce(text.replacing("\u{1E}", with: " + ")) {
            $0.replacing($1.text, with: $1.name)
        }
    }

    private static func expanded(_ text: String) -> String {
        self.numbers.reversed().reduce(text) { $0.replacing($1.name, with: $1.text) }
    }
}
