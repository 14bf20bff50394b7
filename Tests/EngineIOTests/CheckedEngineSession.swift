import Bytes
import EngineIO

/// Executes the events that bytes encode on a session, like an arbitrary client, and checks every
/// step.
struct CheckedEngineSession {
    private static let settings = EngineSettings(
        pingInterval: 300, pingTimeout: 200, maxPayload: 40, postPackets: 5, answerPackets: 4,
        answerBytes: 30, queuedPackets: 12,
        queuedBytes: 100, upgradeTimeout: 400, closeTimeout: 300)

    private let script: [UInt8]
    private var offset = 0
    private var session: EngineSession
    private var now: Int64 = 0
    private var steps = EngineSteps()

    private var nextRequest = 1
    private var openRequests: Set<EngineRequestID> = []
    private var nextSocket = 1
    private var openSockets: Set<EngineSocketID> = []
    private var sentCount = 0
    private var receivedCount = 0
    private var isOver = false

    var isAlive: Bool { !self.isOver }

    init(_ script: [UInt8]) {
        self.script = script
        self.session = EngineSession(
            EngineSessionID(random: (1, 2)), Self.settings, openedBy: EngineRequestID(rawValue: 0),
            at: 0, into: &self.steps)
        self.steps = EngineSteps()
    }

    private mutating func nextByte() -> UInt8? {
        guard self.offset < self.script.count else { return nil }
        self.offset += 1
        return self.script[self.offset - 1]
    }

    /// The bytes up to the next line feed: received data.
    private mutating func nextLine() -> [UInt8] {
        let rest = self.script[self.offset...]
        let line = Array(rest.prefix { $0 != UInt8(ascii: "\n") })
        self.offset = min(self.offset + line.count + 1, self.script.count)
        return line
    }

    private mutating func newRequest() -> EngineRequestID {
        let id = EngineRequestID(rawValue: UInt64(self.nextRequest))
        self.nextRequest += 1
        self.openRequests.insert(id)
        return id
    }

    /// Executes the event that the next bytes of the script encode; returns false at its end.
    mutating func executeNext() -> Bool {
        guard let code = self.nextByte() else { return false }
        let wasOver = self.isOver
        var received: [UInt8] = []
        let anyRequest = EngineRequestID(rawValue: UInt64(code >> 4))
        let socket = EngineSocketID(rawValue: UInt64(code >> 4 & 3) + 1)
        switch code & 15 {
        case 0: self.session.poll(self.newRequest(), at: self.now, into: &self.steps)
        case 1:
            received = self.nextLine()
            self.session.post(
                self.newRequest(), received.span.bytes, at: self.now, into: &self.steps)
        case 2:
            self.session.postBegan(
                self.newRequest(), announcedBytes: code >> 4 == 0 ? nil : Int(code >> 4) * 4,
                into: &self.steps)
        case 3:
            received = self.nextLine()
            self.session.postEnded(anyRequest, received.span.bytes, at: self.now, into: &self.steps)
        case 4:
            self.openRequests.remove(anyRequest)
            if code & 128 == 0 {
                self.session.pollAborted(anyRequest, into: &self.steps)
            } else {
                self.session.postAborted(anyRequest, into: &self.steps)
            }
        case 5:
            let socket = EngineSocketID(rawValue: UInt64(self.nextSocket))
            self.nextSocket += 1
            self.openSockets.insert(socket)
            self.session.socketOpened(socket, at: self.now, into: &self.steps)
        case 6, 7:
            received = self.nextLine()
            self.session.received(received.span.bytes, on: socket, at: self.now, into: &self.steps)
        case 8: self.session.receivedBinary(on: socket, into: &self.steps)
        case 9:
            self.openSockets.remove(socket)
            self.session.socketClosed(socket, into: &self.steps)
        case 10, 11:
            self.sentCount += 1
            let packet = SharedPacket("4\(self.sentCount)")
            if code & 16 == 0 {
                self.session.send(packet, into: &self.steps)
            } else {
                self.session.send(companion: packet, into: &self.steps)
            }
        case 12: self.session.flush(into: &self.steps)
        case 13: self.session.postTooLarge(anyRequest, into: &self.steps)
        case 14:
            guard code >> 4 == 0 else { fallthrough }
            self.session.close(code: 1001, reason: "over", at: self.now, into: &self.steps)
        default:
            self.now += Int64(code >> 4) * 20
            self.session.tick(at: self.now, into: &self.steps)
        }
        self.checkSteps(received, wasOver: wasOver)
        return true
    }

    private mutating func checkSteps(_ received: [UInt8], wasOver: Bool) {
        for step in self.steps.list {
            precondition(
                !self.isOver || wasOver, "A step follows the end of the session: \(step)")
            switch step {
            case .answer(let request, let answer):
                // A request whose connection broke may still be answered, without an effect.
                self.openRequests.remove(request)
                if case .payload(let range) = answer {
                    self.check(payload: Array(self.steps.text.bytes[range]))
                }
            case .send(let packet, let socket):
                precondition(
                    self.openSockets.contains(socket), "\(socket) gets a frame and is closed.")
                self.checkPacket(Array(packet.withBytes { Array($0) }))
            case .closeSocket(let socket, let code, let reason):
                precondition(self.openSockets.remove(socket) != nil, "\(socket) is closed twice.")
                precondition(code != 1000 && reason.utf8.count <= 123, "\(code) \(reason)")
            case .message(let range):
                precondition(
                    range.upperBound <= received.count && !wasOver,
                    "A message is outside of the received bytes.")
            case .binary, .control, .upgraded:
                precondition(!wasOver)
            case .closed:
                precondition(!wasOver, "The session has ended twice.")
                self.isOver = true
            }
        }
        self.steps = EngineSteps()
        precondition(
            (self.session.deadline == nil) == self.isOver,
            "A session that is \(self.isOver ? "over" : "alive") has a wrong deadline.")
        precondition(
            (self.session.deadline ?? .max) >= self.now - 6000, "A deadline has passed long ago.")
        // One companion of the last packet and the `close` packet may exceed the limits.
        precondition(
            self.session.waitingPackets <= 14 && self.session.waitingBytes <= 110,
            "The queue exceeds its limits.")
        if self.isOver {
            precondition(
                self.openRequests.isEmpty,
                "The session has ended and \(self.openRequests) are unanswered.")
            precondition(
                self.session.waitingPackets == 0 && self.session.waitingBytes == 0,
                "The session has ended and still has packets.")
        }
    }

    private mutating func check(payload: [UInt8]) {
        let packets = payload.split(
            separator: EnginePayload.separator, omittingEmptySubsequences: false)
        precondition(packets.count <= 4, "A response has \(packets.count) packets.")
        for packet in packets { self.checkPacket(Array(packet)) }
    }

    /// Checks the order by the server's count: the next packet must arrive, unless the session has
    /// ended in between.
    private mutating func checkPacket(_ packet: [UInt8]) {
        guard packet.first == EnginePacketKind.message.typeByte else { return }
        self.receivedCount += 1
        precondition(
            packet.elementsEqual("4\(self.receivedCount)".utf8),
            "\(String(decoding: packet, as: UTF8.self)) arrived instead of \(self.receivedCount).")
    }
}

extension EngineSession {
    /// Accepts a POST whose whole body is already available.
    mutating func post(
        _ request: EngineRequestID, _ body: RawSpan, at now: Int64, into steps: inout EngineSteps
    ) {
        self.postBegan(request, announcedBytes: body.byteCount, into: &steps)
        self.postEnded(request, body, at: now, into: &steps)
    }
}

extension SharedPacket {
    init(_ text: String) { self.init(SharedFrame(Array(text.utf8))) }
}
