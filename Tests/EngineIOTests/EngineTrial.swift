import Bytes
import EngineIO
import RepeatableChance

/// A session and a client that keeps to the protocol, over a network that takes its time with everything it carries and loses nothing but
/// sockets that are only tried out. Both count what they say, so that both can tell what is lost, repeated or out of order.
struct EngineTrial {
    /// What is on its way to the server, each kind in order by itself.
    private enum ToServer {
        case poll(Int)
        case post(Int, [UInt8])
    }

    private enum Way { case polling, webSocket }

    private var chance: SeededGenerator
    private(set) var peer: EnginePeer
    private let settings: EngineSettings
    private var now: Int64 = 0

    // The server.
    private var saidByServer = 0
    private var heardByServer = 0
    private(set) var mostWaiting = 0
    private(set) var upgradeCount = 0
    private(set) var probesLost = 0

    // The client.
    private var way = Way.polling
    private var saidByClient = 0
    private var heardByClient = 0
    /// Packets that wait for the way to be free.
    private var unsent: [String] = []
    private var requestCount = 0
    private var poll: Int?
    private var post: Int?
    private var socketCount = 0
    private var socket: Int?
    private var isPaused = false

    // The network.
    private var requests: [ToServer] = []
    private var answers: [(Int, EngineAnswerText)] = []
    private var framesToServer: [(Int, String)] = []
    private var framesToClient: [(Int, String)] = []

    private enum EngineAnswerText { case payload(String), taken }

    /// What went wrong, or nil.
    private(set) var complaint: String?

    init(seed: UInt64) {
        self.chance = SeededGenerator(seed: seed)
        self.settings = EngineSettings(
            pingInterval: 300, pingTimeout: 60_000, answerPackets: self.chance.number(2...16), answerBytes: self.chance.number(1...200),
            outboxPackets: 2000, outboxBytes: 40_000, upgradeTimeout: 50_000)
        self.peer = EnginePeer(settings: self.settings)
    }

    /// Plays so many moves, and then lets everything arrive.
    mutating func play(moves: Int) {
        for _ in 0..<moves where self.complaint == nil {
            self.move()
        }
        var quiet = 0
        while quiet < 50, self.complaint == nil {
            let before = (self.heardByServer, self.heardByClient)
            self.arrive(everything: true)
            self.speakAsClient()
            self.tick(after: 100)
            quiet = before == (self.heardByServer, self.heardByClient) ? quiet + 1 : 0
        }
        if self.heardByServer != self.saidByClient { self.complain("The server heard \(self.heardByServer) of \(self.saidByClient).") }
        if self.heardByClient != self.saidByServer { self.complain("The client heard \(self.heardByClient) of \(self.saidByServer).") }
    }

    private mutating func complain(_ sentence: String) {
        if self.complaint == nil { self.complaint = sentence }
    }

    private mutating func move() {
        switch self.chance.next(below: 10) {
        case 0, 1:
            for _ in 0..<self.chance.number(1...self.chance.pick([2, 5, 40])!) { self.speakAsServer() }
            if self.chance.happens(perMille: 800) { self.note(self.peer.flush()) }
        case 2:
            for _ in 0..<self.chance.number(1...5) {
                self.saidByClient += 1
                self.unsent.append("4c\(self.saidByClient)")
            }
        case 3: self.tick(after: Int64(self.chance.number(1...60)))
        case 4: if self.chance.happens(perMille: 100) { self.tryWebSocket() }
        case 5: if self.chance.happens(perMille: 500) { self.loseSocket() }
        case 6, 7: self.arrive(everything: false)
        default: self.speakAsClient()
        }
        self.mostWaiting = max(self.mostWaiting, self.peer.session.waitingPackets)
    }

    private mutating func tick(after time: Int64) {
        self.now += time
        self.note(self.peer.tick(at: self.now))
    }

    private mutating func speakAsServer() {
        guard self.peer.session.waitingPackets < 500 else { return }
        self.saidByServer += 1
        if self.chance.happens(perMille: 300) {
            self.saidByServer += 1
            self.note(self.peer.send("4s\(self.saidByServer - 1) with", with: "4s\(self.saidByServer)"))
        } else {
            self.note(self.peer.send("4s\(self.saidByServer)"))
        }
    }

    private mutating func speakAsClient() {
        if self.way == .webSocket, let socket = self.socket {
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
            let packets = self.unsent.prefix(self.chance.number(1...20))
            self.unsent.removeFirst(packets.count)
            self.requests.append(.post(self.requestCount, Array(packets.joined(separator: "\u{1E}").utf8)))
        }
    }

    private mutating func tryWebSocket() {
        guard self.way == .polling, self.socket == nil, !self.isPaused else { return }
        self.socketCount += 1
        self.socket = self.socketCount
        self.note(self.peer.open(self.socketCount))
        self.framesToServer.append((self.socketCount, "2probe"))
    }

    /// Only as long as the client has not said that it goes over: later, the session dies with its socket.
    private mutating func loseSocket() {
        guard self.way == .polling, let socket = self.socket else { return }
        self.framesToServer.removeAll { $0.0 == socket }
        self.framesToClient.removeAll { $0.0 == socket }
        self.socket = nil
        self.isPaused = false
        self.probesLost += 1
        self.note(self.peer.closed(socket))
    }

    private mutating func arrive(everything: Bool) {
        func isHere() -> Bool { everything || self.chance.happens(perMille: 500) }
        if !self.requests.isEmpty, isHere() {
            switch self.requests.remove(at: self.chance.next(below: self.requests.count)) {
            case .poll(let request): self.note(self.peer.poll(request))
            case .post(let request, let body): self.note(self.peer.post(request, body))
            }
        }
        while !self.framesToServer.isEmpty, isHere() {
            let (socket, text) = self.framesToServer.removeFirst()
            self.note(self.peer.receive(text, on: socket))
        }
        while !self.answers.isEmpty, isHere() {
            let (request, answer) = self.answers.remove(at: self.chance.next(below: self.answers.count))
            switch answer {
            case .payload(let text):
                if self.poll != request { self.complain("Poll \(request) was answered twice.") }
                self.poll = nil
                for packet in text.split(separator: "\u{1E}") { self.hearAsClient(String(packet)) }
            case .taken:
                if self.post != request { self.complain("POST \(request) was answered twice.") }
                self.post = nil
            }
            self.goOverWhenFree()
        }
        while !self.framesToClient.isEmpty, isHere() {
            let (socket, text) = self.framesToClient.removeFirst()
            guard socket == self.socket else { continue }
            if text == "3probe" {
                self.isPaused = true
                self.goOverWhenFree()
            } else {
                if self.way == .polling { self.complain("A socket that has not taken over brought \(text).") }
                self.hearAsClient(text)
            }
        }
    }

    /// A client says `5` when its last poll and its last POST are back.
    private mutating func goOverWhenFree() {
        guard self.isPaused, self.way == .polling, self.poll == nil, self.post == nil, let socket = self.socket else { return }
        self.way = .webSocket
        self.framesToServer.append((socket, "5"))
    }

    private mutating func hearAsClient(_ packet: String) {
        if packet == "2" {
            self.unsent.append("3")
        } else if packet.hasPrefix("4s") {
            self.heardByClient += 1
            if packet != "4s\(self.heardByClient)", packet != "4s\(self.heardByClient) with" {
                self.complain("The client heard \(packet) in place of \(self.heardByClient).")
            }
        } else if packet != "6" {
            self.complain("The client heard \(packet).")
        }
    }

    /// What the server does goes on its way, and is judged as far as it can be here.
    private mutating func note(_ deeds: [EngineDeed]) {
        for deed in deeds {
            switch deed {
            case .payload(let request, let text):
                let packets = text.split(separator: "\u{1E}", omittingEmptySubsequences: false)
                if packets.count > self.settings.answerPackets { self.complain("An answer had \(packets.count) packets.") }
                if packets.last?.hasSuffix(" with") == true { self.complain("An answer ended between two that belong together.") }
                self.answers.append((request, .payload(text)))
            case .taken(let request):
                self.answers.append((request, .taken))
            case .sent(let socket, let text):
                self.framesToClient.append((socket, text))
            case .message(let text):
                self.heardByServer += 1
                if text != "c\(self.heardByServer)" { self.complain("The server heard \(text) in place of \(self.heardByServer).") }
            case .upgraded:
                self.upgradeCount += 1
            case .refused, .closedSocket, .binary, .closed:
                self.complain("Nobody did wrong, and still: \(deed)")
            }
        }
    }
}
