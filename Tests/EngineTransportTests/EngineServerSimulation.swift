import EngineIO
import EventLoop
import SeededRandom

@testable import EngineTransport

/// Two nodes with two loops each, and one client whose requests arrive at any of them. Messages
/// between nodes are delayed and lost, but keep their order, as with Redis Pub/Sub. A node that
/// only forwards ends now and then, and a proxy repeats the poll. Both sides number their messages.
struct EngineServerSimulation {
    private struct Place: Hashable {
        let node: UInt64
        let loop: Int
    }

    private enum ClientUpgrade: Equatable {
        case none
        /// The WebSocket was requested, and `2probe` follows.
        case opening(SocketToken)
        /// `3probe` has arrived. `5` follows when no request is open.
        case probed(SocketToken)
        case done(SocketToken)
    }

    private static let places = [7, 9].flatMap { node in
        (0...1).map { Place(node: node, loop: $0) }
    }

    private var random: SeededGenerator
    private let settings: EngineSettings
    private var loops: [Place: SimulatedEngineLoop] = [:]
    private var now: Int64 = 0

    // The application, which is where the session is.
    private var sentByServer = 0
    private var receivedByServer = 0

    // The client
    private var session: EngineSessionID?
    private var connectionCount = 0
    private var connections: [SocketToken: Place] = [:]
    private var poll: SocketToken?
    /// Whether every poll has a mark of its own. If not, the nodes report the arrival of answers.
    private let hasMarks: Bool
    private var (pollCount, repeats) = (UInt64(0), 0)
    private var post: SocketToken?
    private var incompletePost: SocketToken?
    private var upgrade = ClientUpgrade.none
    private var unsent: [String] = []
    private var sentByClient = 0
    private var receivedByClient = 0
    private var isClosing = false

    // The network between nodes
    private var messages: [(due: Int64, from: UInt64, to: Place, text: String)] = []
    private var lastDue: [UInt64: Int64] = [:]
    private var losses: [String: Int] = [:]

    /// The first failure, if any.
    private(set) var failure: String?
    private(set) var lostMessages = 0
    private(set) var hasMoved = false
    private(set) var killedForwarders = 0
    var isUpgraded: Bool { if case .done = self.upgrade { true } else { false } }

    init(seed: UInt64) {
        self.random = SeededGenerator(seed: seed)
        self.hasMarks = self.random.happens(perMille: 500)
        self.settings = EngineSettings(
            pingInterval: 5000, pingTimeout: 10_000_000,
            answerPackets: self.random.number(2...16), answerBytes: self.random.number(1...200),
            upgradeTimeout: 60_000)
        for place in Self.places { self.start(place) }
    }

    private mutating func start(_ place: Place) {
        self.loops[place] = SimulatedEngineLoop(
            self.settings, node: place.node, loop: place.loop, loops: 2, seed: self.random.next())
        self.loops[place]?.now = self.now
    }

    /// Runs random steps, delivers everything, and ends the session.
    mutating func run(steps: Int) {
        self.send(.handshake(.polling))
        for _ in 0..<steps where self.failure == nil { self.step() }
        for _ in 0..<20_000 where self.failure == nil && !self.isComplete {
            for place in Self.places { self.resumeReading(at: place) }
            self.sendFromClient()
            self.advance(100)
        }
        self.check(self.receivedByServer == self.sentByClient, "the server has missed messages")
        self.check(self.receivedByClient == self.sentByServer, "the client has missed messages")
        self.check(!self.sessions.isEmpty, "the session is lost")
        self.closeFromClient()
        for _ in 0..<400 where self.failure == nil { self.advance(100) }
        for place in Self.places {
            self.check(self.loops[place]?.isEmpty == true, "something is left at \(place)")
        }
    }

    private var isComplete: Bool {
        self.receivedByServer == self.sentByClient && self.receivedByClient == self.sentByServer
            && self.post == nil
    }

    private mutating func check(_ condition: Bool, _ sentence: String) {
        guard !condition, self.failure == nil else { return }
        self.failure =
            "\(sentence) at \(self.now): \(self.receivedByServer) of \(self.sentByClient) from and "
            + "\(self.receivedByClient) of \(self.sentByServer) to the client, \(self.upgrade)"
    }

    private var sessions: [(place: Place, session: SocketToken)] {
        Self.places.flatMap { place in
            (self.loops[place]?.sessions ?? []).map { (place, $0) }
        }
    }

    private mutating func step() {
        switch self.random.next(below: 10) {
        case 0, 1: self.sendFromServer()
        case 2:
            for _ in 0..<self.random.number(1...5) {
                self.sentByClient += 1
                self.unsent.append("4\(self.sentByClient)")
            }
        case 3: if self.random.happens(perMille: 150) { self.beginUpgrade() }
        case 4: if self.random.happens(perMille: 100) { self.abandonUpgrade() }
        case 5:
            if let (place, session) = self.sessions.first {
                self.loops[place]?.togglePause(session)
                self.collect(place)
            }
        case 6: self.advance(Int64(self.random.number(1...300)))
        case 7: if self.random.happens(perMille: 600) { self.killForwarder() }
        default: self.sendFromClient()
        }
    }

    private mutating func resumeReading(at place: Place) {
        for session in self.loops[place]?.sessions ?? [] {
            self.loops[place]?.togglePause(session, isEnd: true)
        }
        self.collect(place)
    }

    // MARK: The server's side

    private mutating func sendFromServer() {
        guard let (place, session) = self.sessions.first,
            self.sentByServer - self.receivedByClient < 200
        else { return }
        let limit = self.random.happens(perMille: 500) ? 2 : 30
        for _ in 0..<self.random.number(1...limit) {
            var packets: [String] = []
            for _ in 0...self.random.next(below: 2) {
                self.sentByServer += 1
                packets.append("4\(self.sentByServer)")
            }
            self.loops[place]?.write(packets, to: session)
        }
        self.collect(place)
    }

    /// Ends the turn of a loop, and passes on what leaves it.
    private mutating func collect(_ place: Place) {
        self.loops[place]?.endTurn()
        for output in self.loops[place]?.takeOutput() ?? [] {
            switch output {
            case .response(let token, let response): self.received(response, on: token)
            case .moved(let token, let loop):
                let target = Place(node: place.node, loop: loop)
                self.connections[token] = target
                self.moved(token, to: target)
            case .accepted(let token): self.receiveFrame("2probe", from: token)
            case .frame(let token, let text): self.received(text, on: token)
            case .closed(let token, let reason): self.closed(token, reason)
            case .message(let text):
                self.receivedByServer += 1
                self.check(text == "\(self.receivedByServer)", "\(text) has reached the server")
            case .toNode(let node, let loop, let text):
                self.transmit(text, from: place.node, to: Place(node: node, loop: Int(loop)))
            case .ended(let code): self.check(code == 1001, "the session ended with \(code)")
            case .adopted: self.hasMoved = true
            }
        }
    }

    // MARK: Time and the network

    private mutating func advance(_ time: Int64) {
        self.now += time
        for place in Self.places { self.loops[place]?.now = self.now }
        // A loop reads what has arrived before it ticks.
        self.deliver { [now] in $0.due <= now }
        for place in Self.places {
            self.loops[place]?.tick()
            self.collect(place)
        }
    }

    private mutating func deliver(
        _ isDue: ((due: Int64, from: UInt64, to: Place, text: String)) -> Bool
    ) {
        let due = self.messages.filter(isDue)
        self.messages.removeAll(where: isDue)
        for message in due {
            guard let decoded = EngineNodeMessage(message.text) else {
                return self.check(false, "a node has sent \(message.text)")
            }
            self.loops[message.to]?.run {
                $0.received(decoded, from: message.from, owner: nil, at: $1, into: &$2)
            }
            self.collect(message.to)
        }
    }

    /// Loses a message at most twice in a row, because a session survives no more.
    private mutating func transmit(_ text: String, from node: UInt64, to place: Place) {
        // Without the report, packets would come twice.
        if self.losses[text, default: 0] < 2, !text.hasPrefix("ask arrived"),
            self.random.happens(perMille: 200)
        {
            self.losses[text, default: 0] += 1
            self.lostMessages += 1
            return
        }
        self.losses[text] = nil
        let due = max(
            self.now + Int64(self.random.number(0...400)), self.lastDue[node, default: 0])
        self.lastDue[node] = due
        self.messages.append((due, node, place, text))
    }

    /// The node through which the client polls ends and starts again. What it has sent arrives. The
    /// poll is repeated at any node.
    private mutating func killForwarder() {
        guard let session = self.session, let home = self.sessions.first, self.upgrade == .none,
            let poll = self.poll, let node = self.connections[poll]?.node, node != home.place.node,
            self.post.flatMap({ self.connections[$0]?.node }) != node,
            self.repeats < EngineSession.repeatLimit
        else { return }
        self.deliver { $0.from == node }
        // Without marks, a poll that waits cannot be distinguished from a second one.
        let requests = self.loops[home.place]?.server.sessions[home.session]?.inbound.values
        let isWaiting = requests?.contains { $0.kind == .poll && $0.reply == nil } ?? false
        guard self.poll == poll, self.hasMarks || !isWaiting else { return }
        self.killedForwarders += 1
        self.messages.removeAll { $0.to.node == node }
        for place in Self.places where place.node == node { self.start(place) }
        self.requests[poll] = nil
        self.send(.poll(session), isRepeated: true)
    }

    // MARK: The client's side

    /// Sends a request to any loop of any node.
    @discardableResult
    private mutating func send(
        _ request: EngineRequest, body: [UInt8] = [], isWhole: Bool = true,
        isRepeated: Bool = false
    ) -> SocketToken {
        let place = self.random.pick(Self.places) ?? Self.places[0]
        self.connectionCount += 1
        let token = SocketToken(self.connectionCount)
        self.connections[token] = place
        self.requests[token] = (request, body)
        switch request {
        case .handshake: break
        case .poll:
            self.poll = token
            if !isRepeated { self.pollCount += 1 }
            self.repeats = isRepeated ? self.repeats + 1 : 0
        case .post:
            self.post = token
            if !isWhole { self.incompletePost = token }
        case .upgrade: self.upgrade = .opening(token)
        }
        let proof = self.proof
        self.loops[place]?.receive(
            request, on: token, body: body, isWhole: isWhole, proof: proof)
        self.collect(place)
        return token
    }

    private var proof: EnginePollProof { self.hasMarks ? .otherMark(self.pollCount) : .nextPoll }
    private var requests: [SocketToken: (EngineRequest, [UInt8])] = [:]

    private mutating func moved(_ token: SocketToken, to place: Place) {
        guard let (request, body) = self.requests[token] else { return }
        self.incompletePost = self.incompletePost == token ? nil : self.incompletePost
        let proof = self.proof
        self.loops[place]?.receive(
            request, on: token, body: body, isWhole: true, proof: proof)
        self.collect(place)
    }

    private mutating func sendFromClient() {
        guard let session = self.session else { return }
        switch self.upgrade {
        case .done(let socket):
            for packet in self.unsent { self.receiveFrame(packet, from: socket) }
            self.unsent = []
            return
        case .probed(let socket) where self.poll == nil && self.post == nil:
            self.upgrade = .done(socket)
            return self.receiveFrame("5", from: socket)
        case .probed, .none, .opening: break
        }
        if let token = self.incompletePost, let place = self.connections[token] {
            self.incompletePost = nil
            self.loops[place]?.completeBody(token)
            self.collect(place)
        }
        if case .probed = self.upgrade { return }
        if self.poll == nil { self.send(.poll(session)) }
        if self.post == nil, !self.unsent.isEmpty {
            let body = Array(self.unsent.joined(separator: "\u{1E}").utf8)
            self.unsent = []
            self.send(.post(session), body: body, isWhole: self.random.happens(perMille: 600))
        }
    }

    private mutating func receiveFrame(_ text: String, from socket: SocketToken) {
        guard let place = self.connections[socket] else { return }
        self.loops[place]?.receive(text, on: socket)
        self.collect(place)
    }

    private mutating func received(_ response: EngineResponse, on token: SocketToken) {
        self.check(self.requests.removeValue(forKey: token) != nil, "a second response")
        switch response {
        case .payload(let bytes):
            self.poll = self.poll == token ? nil : self.poll
            for packet in String(decoding: bytes, as: UTF8.self).split(separator: "\u{1E}") {
                self.receivedPacket(String(packet))
            }
        case .accepted: self.post = nil
        case .refused(let refusal):
            // The poll may have been on its way to a session that has ended.
            self.check(self.isClosing, "a request was refused: \(refusal)")
        }
    }

    private mutating func receivedPacket(_ packet: String) {
        switch packet.first {
        case "0":
            let sid = packet.split(separator: "\"").dropFirst(3).first.map(String.init) ?? ""
            self.session = EngineSessionID(named: sid)
        case "2": self.unsent.append("3")
        case "4":
            self.receivedByClient += 1
            self.check(packet == "4\(self.receivedByClient)", "\(packet) has reached the client")
        default: self.check(packet == "6", "the client has received \(packet)")
        }
    }

    private mutating func received(_ text: String, on socket: SocketToken) {
        guard text == "3probe" else { return self.receivedPacket(text) }
        if self.upgrade == .opening(socket) { self.upgrade = .probed(socket) }
    }

    private mutating func beginUpgrade() {
        guard let session = self.session, self.upgrade == .none else { return }
        self.send(.upgrade(session))
    }

    /// Closes a WebSocket that has not taken over. Its node tells the session's node.
    private mutating func abandonUpgrade() {
        switch self.upgrade {
        case .opening(let socket), .probed(let socket):
            guard let place = self.connections[socket] else { return }
            self.upgrade = .none
            self.requests[socket] = nil
            self.loops[place]?.drop(socket)
            self.collect(place)
        case .none, .done: break
        }
    }

    private mutating func closed(_ socket: SocketToken, _ reason: String) {
        switch self.upgrade {
        case .opening(socket), .probed(socket): self.upgrade = .none
        case .done(socket): self.check(false, "the WebSocket was closed: \(reason)")
        case .none, .opening, .probed, .done: break
        }
    }

    private mutating func closeFromClient() {
        self.isClosing = true
        guard let session = self.session, self.failure == nil else { return }
        if case .done(let socket) = self.upgrade, let place = self.connections[socket] {
            self.loops[place]?.drop(socket)
            self.collect(place)
        } else {
            self.abandonUpgrade()
            self.send(.post(session), body: Array("1".utf8))
        }
    }
}
