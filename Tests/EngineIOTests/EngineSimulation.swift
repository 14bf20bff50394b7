import Bytes
import EngineIO
import SeededRandom

/// A session and a client that keeps to the protocol, over a network that takes its time with everything it carries and loses nothing but
/// sockets that are only tried out. Both count what they say, so that both can tell what is lost, repeated or out of order.
struct EngineSimulation {
    /// What is on its way to the server, each kind in order by itself.
    private enum RequestInFlight {
        case poll(Int)
        case post(Int, [UInt8])
    }

    private enum ClientTransport { case polling, webSocket }

    private var random: SeededGenerator
    private(set) var driver: EngineSessionDriver
    private let settings: EngineSettings
    private var now: Int64 = 0

    // The server.
    private var sentByServer = 0
    private var receivedByServer = 0
    private(set) var maxWaitingPackets = 0
    private(set) var upgradeCount = 0
    private(set) var lostProbeCount = 0

    // The client.
    private var clientTransport = ClientTransport.polling
    private var sentByClient = 0
    private var receivedByClient = 0
    /// Packets that wait for the way to be free.
    private var unsent: [String] = []
    private var requestCount = 0
    private var poll: Int?
    private var post: Int?
    private var socketCount = 0
    private var socket: Int?
    private var isPaused = false

    // The network.
    private var requests: [RequestInFlight] = []
    private var answers: [(Int, ResponseInFlight)] = []
    private var framesToServer: [(Int, String)] = []
    private var framesToClient: [(Int, String)] = []

    private enum ResponseInFlight { case payload(String), accepted }

    /// What went wrong, or nil.
    private(set) var failure: String?

    init(seed: UInt64) {
        self.random = SeededGenerator(seed: seed)
        self.settings = EngineSettings(
            pingInterval: 300, pingTimeout: 60_000, answerPackets: self.random.number(2...16),
            answerBytes: self.random.number(1...200),
            outboxPackets: 2000, outboxBytes: 40_000, upgradeTimeout: 50_000)
        self.driver = EngineSessionDriver(settings: self.settings)
    }

    /// Plays so many moves, and then lets everything arrive.
    mutating func run(steps moves: Int) {
        for _ in 0..<moves where self.failure == nil {
            self.step()
        }
        var quiet = 0
        while quiet < 50, self.failure == nil {
            let before = (self.receivedByServer, self.receivedByClient)
            self.deliver(everything: true)
            self.sendFromClient()
            self.tick(after: 100)
            quiet = before == (self.receivedByServer, self.receivedByClient) ? quiet + 1 : 0
        }
        if self.receivedByServer != self.sentByClient {
            self.fail("The server heard \(self.receivedByServer) of \(self.sentByClient).")
        }
        if self.receivedByClient != self.sentByServer {
            self.fail("The client heard \(self.receivedByClient) of \(self.sentByServer).")
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

    /// Only as long as the client has not said that it goes over: later, the session dies with its socket.
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
                    self.fail("A socket that has not taken over brought \(text).")
                }
                self.receiveAtClient(text)
            }
        }
    }

    /// A client says `5` when its last poll and its last POST are back.
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
                self.fail("The client heard \(packet) in place of \(self.receivedByClient).")
            }
        } else if packet != "6" {
            self.fail("The client heard \(packet).")
        }
    }

    /// What the server does goes on its way, and is judged as far as it can be here.
    private mutating func apply(_ deeds: [RecordedEngineStep]) {
        for deed in deeds {
            switch deed {
            case .payload(let request, let text):
                let packets = text.split(separator: "\u{1E}", omittingEmptySubsequences: false)
                if packets.count > self.settings.answerPackets {
                    self.fail("An answer had \(packets.count) packets.")
                }
                if packets.last?.hasSuffix(" with") == true {
                    self.fail("An answer ended between two that belong together.")
                }
                self.answers.append((request, .payload(text)))
            case .accepted(let request):
                self.answers.append((request, .accepted))
            case .sent(let socket, let text):
                self.framesToClient.append((socket, text))
            case .message(let text):
                self.receivedByServer += 1
                if text != "c\(self.receivedByServer)" {
                    self.fail("The server heard \(text) in place of \(self.receivedByServer).")
                }
            case .upgraded:
                self.upgradeCount += 1
            case .refused, .closedSocket, .binary, .closed:
                self.fail("Nobody did wrong, and still: \(deed)")
            }
        }
    }
}
