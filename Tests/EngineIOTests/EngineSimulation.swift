import Bytes
import EngineIO
import SeededRandom

/// A session and a correct client over a simulated network with random delays, which loses only
/// probing sockets. Both number their messages, so that lost, repeated and reordered messages are
/// detected.
struct EngineSimulation {
    /// A request on its way to the server.
    private enum RequestInFlight {
        case poll(Int)
        case post(Int, [UInt8])
    }

    private enum ClientTransport { case polling, webSocket }

    private var random: SeededGenerator
    private(set) var driver: EngineSessionDriver
    private let settings: EngineSettings
    private var now: Int64 = 0

    // Server
    private var sentByServer = 0
    private var receivedByServer = 0
    private(set) var maxWaitingPackets = 0
    private(set) var upgradeCount = 0
    private(set) var lostProbeCount = 0

    // Client
    private var clientTransport = ClientTransport.polling
    private var sentByClient = 0
    private var receivedByClient = 0
    /// Packets that wait for a free transport.
    private var unsent: [String] = []
    private var requestCount = 0
    private var poll: Int?
    private var post: Int?
    private var socketCount = 0
    private var socket: Int?
    private var isPaused = false

    // Network
    private var requests: [RequestInFlight] = []
    private var answers: [(Int, ResponseInFlight)] = []
    private var framesToServer: [(Int, String)] = []
    private var framesToClient: [(Int, String)] = []

    private enum ResponseInFlight { case payload(String), accepted }

    /// The first failure, if any.
    private(set) var failure: String?

    init(seed: UInt64) {
        self.random = SeededGenerator(seed: seed)
        self.settings = EngineSettings(
            pingInterval: 300, pingTimeout: 60_000, answerPackets: self.random.number(2...16),
            answerBytes: self.random.number(1...200),
            queuedPackets: 2000, queuedBytes: 40_000, upgradeTimeout: 50_000)
        self.driver = EngineSessionDriver(settings: self.settings)
    }

    /// Runs random steps and then delivers everything.
    mutating func run(steps: Int) {
        for _ in 0..<steps where self.failure == nil {
            self.step()
        }
        var idleRounds = 0
        while idleRounds < 50, self.failure == nil {
            let before = (self.receivedByServer, self.receivedByClient)
            self.deliver(everything: true)
            self.sendFromClient()
            self.tick(after: 100)
            idleRounds =
                before == (self.receivedByServer, self.receivedByClient) ? idleRounds + 1 : 0
        }
        if self.receivedByServer != self.sentByClient {
            self.fail("The server received \(self.receivedByServer) of \(self.sentByClient).")
        }
        if self.receivedByClient != self.sentByServer {
            self.fail("The client received \(self.receivedByClient) of \(self.sentByServer).")
        }
    }

    private mutating func fail(_ sentence: String) {
        if self.failure == nil { self.failure = sentence }
    }

    private mutating func step() {
        switch self.random.next(below: 10) {
        case 0, 1:
            for _ in 0..<self.random.number(1...self.random.pick([2, 5, 40])!) {
                self.sendFromServer()
            }
            if self.random.happens(perMille: 800) { self.apply(self.driver.flush()) }
        case 2:
            for _ in 0..<self.random.number(1...5) {
                self.sentByClient += 1
                self.unsent.append("4c\(self.sentByClient)")
            }
        case 3: self.tick(after: Int64(self.random.number(1...60)))
        case 4: if self.random.happens(perMille: 100) { self.openProbe() }
        case 5: if self.random.happens(perMille: 500) { self.loseProbe() }
        case 6, 7: self.deliver(everything: false)
        default: self.sendFromClient()
        }
        self.maxWaitingPackets = max(self.maxWaitingPackets, self.driver.session.waitingPackets)
    }

    private mutating func tick(after time: Int64) {
        self.now += time
        self.apply(self.driver.tick(at: self.now))
    }

    private mutating func sendFromServer() {
        guard self.driver.session.waitingPackets < 500 else { return }
        self.sentByServer += 1
        if self.random.happens(perMille: 300) {
            self.sentByServer += 1
            self.apply(
                self.driver.send("4s\(self.sentByServer - 1) with", with: "4s\(self.sentByServer)"))
        } else {
            self.apply(self.driver.send("4s\(self.sentByServer)"))
        }
    }

    private mutating func sendFromClient() {
        if self.clientTransport == .webSocket, let socket = self.socket {
            self.framesToServer += self.unsent.map { (socket, $0) }
            self.unsent = []
            return
        }
        guard !self.isPaused else { return }
        if self.poll == nil {
            self.requestCount += 1
            self.poll = self.requestCount
            self.requests.append(.poll(self.requestCount))
        }
        if self.post == nil, !self.unsent.isEmpty {
            self.requestCount += 1
            self.post = self.requestCount
            let packets = self.unsent.prefix(self.random.number(1...20))
            self.unsent.removeFirst(packets.count)
            self.requests.append(
                .post(self.requestCount, Array(packets.joined(separator: "\u{1E}").utf8)))
        }
    }

    private mutating func openProbe() {
        guard self.clientTransport == .polling, self.socket == nil, !self.isPaused else { return }
        self.socketCount += 1
        self.socket = self.socketCount
        self.apply(self.driver.openSocket(self.socketCount))
        self.framesToServer.append((self.socketCount, "2probe"))
    }

    /// Only before the client has completed the upgrade: later, the session ends with its socket.
    private mutating func loseProbe() {
        guard self.clientTransport == .polling, let socket = self.socket else { return }
        self.framesToServer.removeAll { $0.0 == socket }
        self.framesToClient.removeAll { $0.0 == socket }
        self.socket = nil
        self.isPaused = false
        self.lostProbeCount += 1
        self.apply(self.driver.socketClosed(socket))
    }

    private mutating func deliver(everything: Bool) {
        func isHere() -> Bool { everything || self.random.happens(perMille: 500) }
        if !self.requests.isEmpty, isHere() {
            switch self.requests.remove(at: self.random.next(below: self.requests.count)) {
            case .poll(let request): self.apply(self.driver.poll(request))
            case .post(let request, let body): self.apply(self.driver.post(request, body))
            }
        }
        while !self.framesToServer.isEmpty, isHere() {
            let (socket, text) = self.framesToServer.removeFirst()
            self.apply(self.driver.receive(text, on: socket))
        }
        while !self.answers.isEmpty, isHere() {
            let (request, answer) = self.answers.remove(
                at: self.random.next(below: self.answers.count))
            switch answer {
            case .payload(let text):
                if self.poll != request { self.fail("Poll \(request) was answered twice.") }
                self.poll = nil
                for packet in text.split(separator: "\u{1E}") {
                    self.receiveAtClient(String(packet))
                }
            case .accepted:
                if self.post != request { self.fail("POST \(request) was answered twice.") }
                self.post = nil
            }
            self.upgradeWhenIdle()
        }
        while !self.framesToClient.isEmpty, isHere() {
            let (socket, text) = self.framesToClient.removeFirst()
            guard socket == self.socket else { continue }
            if text == "3probe" {
                self.isPaused = true
                self.upgradeWhenIdle()
            } else {
                if self.clientTransport == .polling {
                    self.fail("A socket that has not taken over carried \(text).")
                }
                self.receiveAtClient(text)
            }
        }
    }

    /// A client sends `5` after its last poll and its last POST have returned.
    private mutating func upgradeWhenIdle() {
        guard self.isPaused, self.clientTransport == .polling, self.poll == nil, self.post == nil,
            let socket = self.socket
        else { return }
        self.clientTransport = .webSocket
        self.framesToServer.append((socket, "5"))
    }

    private mutating func receiveAtClient(_ packet: String) {
        if packet == "2" {
            self.unsent.append("3")
        } else if packet.hasPrefix("4s") {
            self.receivedByClient += 1
            if packet != "4s\(self.receivedByClient)", packet != "4s\(self.receivedByClient) with" {
                self.fail("The client received \(packet) instead of \(self.receivedByClient).")
            }
        } else if packet != "6" {
            self.fail("The client received \(packet).")
        }
    }

    /// Puts the server's steps onto the network and checks them.
    private mutating func apply(_ steps: [RecordedEngineStep]) {
        for step in steps {
            switch step {
            case .payload(let request, let text):
                let packets = text.split(separator: "\u{1E}", omittingEmptySubsequences: false)
                if packets.count > self.settings.answerPackets {
                    self.fail("A response had \(packets.count) packets.")
                }
                if packets.last?.hasSuffix(" with") == true {
                    self.fail("A response ended between a packet and its companion.")
                }
                self.answers.append((request, .payload(text)))
            case .accepted(let request):
                self.answers.append((request, .accepted))
            case .sent(let socket, let text):
                self.framesToClient.append((socket, text))
            case .message(let text):
                self.receivedByServer += 1
                if text != "c\(self.receivedByServer)" {
                    self.fail("The server received \(text) instead of \(self.receivedByServer).")
                }
            case .upgraded:
                self.upgradeCount += 1
            case .refused, .closedSocket, .binary, .closed:
                self.fail("A correct client caused \(step)")
            }
        }
    }
}
