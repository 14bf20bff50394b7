import Bytes
import EngineIO

/// A step of a session, with the text that the step only refers to.
enum RecordedEngineStep: Hashable {
    case payload(Int, String)
    case accepted(Int)
    case refused(Int, EngineRefusal)
    case sent(Int, String)
    case closedSocket(Int, UInt16)
    case message(String)
    case binary
    case upgraded(Int)
    case closed(EngineClosure)
}

extension EngineRequestID {
    init(_ number: Int) { self.init(rawValue: UInt64(number)) }
}

extension EngineSocketID {
    init(_ number: Int) { self.init(rawValue: UInt64(number)) }
}

/// Drives a session as a server would: requests and sockets are small numbers, packets are strings.
struct EngineSessionDriver {
    static let id = EngineSessionID(random: (1, 2))
    /// The timeouts of the protocol's own test suite.
    static let settings = EngineSettings(pingInterval: 300, pingTimeout: 200)

    private(set) var session: EngineSession
    /// The steps of the initializer.
    let openingSteps: [RecordedEngineStep]
    var now: Int64 = 0

    /// Creates a session that poll 0 opens.
    init(settings: EngineSettings = EngineSessionDriver.settings) {
        var steps = EngineSteps()
        self.session = EngineSession(
            Self.id, settings, openedBy: EngineRequestID(0), at: 0, into: &steps)
        self.openingSteps = Self.recordedSteps(steps, [])
    }

    /// Creates a session that a WebSocket opens.
    init(onSocket socket: Int, settings: EngineSettings = EngineSessionDriver.settings) {
        var steps = EngineSteps()
        self.session = EngineSession(
            Self.id, settings, openedOn: EngineSocketID(socket), at: 0, into: &steps)
        self.openingSteps = Self.recordedSteps(steps, [])
    }

    mutating func poll(_ request: Int, provenBy proof: EnginePollProof = .nextPoll)
        -> [RecordedEngineStep]
    {
        self.run { $0.poll(EngineRequestID(request), provenBy: proof, at: $1, into: &$2) }
    }

    mutating func answerArrived(_ request: Int) -> [RecordedEngineStep] {
        self.run { $0.answerArrived(EngineRequestID(request), into: &$2) }
    }

    mutating func pollAborted(_ request: Int) -> [RecordedEngineStep] {
        self.run { $0.pollAborted(EngineRequestID(request), into: &$2) }
    }

    mutating func post(_ request: Int, _ body: [UInt8]) -> [RecordedEngineStep] {
        self.run(on: body) { $0.post(EngineRequestID(request), body.span.bytes, at: $1, into: &$2) }
    }

    mutating func post(_ request: Int, _ body: String) -> [RecordedEngineStep] {
        self.post(request, Array(body.utf8))
    }

    mutating func postBegan(_ request: Int, announcedBytes: Int? = nil) -> [RecordedEngineStep] {
        self.run {
            $0.postBegan(EngineRequestID(request), announcedBytes: announcedBytes, into: &$2)
        }
    }

    mutating func postEnded(_ request: Int, _ body: String) -> [RecordedEngineStep] {
        let body = Array(body.utf8)
        return self.run(on: body) {
            $0.postEnded(EngineRequestID(request), body.span.bytes, at: $1, into: &$2)
        }
    }

    mutating func postTooLarge(_ request: Int) -> [RecordedEngineStep] {
        self.run { $0.postTooLarge(EngineRequestID(request), into: &$2) }
    }

    mutating func postAborted(_ request: Int) -> [RecordedEngineStep] {
        self.run { $0.postAborted(EngineRequestID(request), into: &$2) }
    }

    mutating func openSocket(_ socket: Int) -> [RecordedEngineStep] {
        self.run { $0.socketOpened(EngineSocketID(socket), at: $1, into: &$2) }
    }

    mutating func receive(_ text: [UInt8], on socket: Int) -> [RecordedEngineStep] {
        self.run(on: text) {
            $0.received(text.span.bytes, on: EngineSocketID(socket), at: $1, into: &$2)
        }
    }

    mutating func receive(_ text: String, on socket: Int) -> [RecordedEngineStep] {
        self.receive(Array(text.utf8), on: socket)
    }

    mutating func receiveBinary(on socket: Int) -> [RecordedEngineStep] {
        self.run { $0.receivedBinary(on: EngineSocketID(socket), into: &$2) }
    }

    mutating func socketClosed(_ socket: Int) -> [RecordedEngineStep] {
        self.run { $0.socketClosed(EngineSocketID(socket), into: &$2) }
    }

    /// Sends without a flush.
    mutating func send(_ packet: String, with companion: String? = nil) -> [RecordedEngineStep] {
        self.run { session, _, steps in
            session.send(SharedPacket(packet), into: &steps)
            if let companion { session.send(companion: SharedPacket(companion), into: &steps) }
        }
    }

    /// Sends a companion of the previous packet.
    mutating func send(companion packet: String) -> [RecordedEngineStep] {
        self.run { $0.send(companion: SharedPacket(packet), into: &$2) }
    }

    mutating func flush() -> [RecordedEngineStep] {
        self.run { $0.flush(into: &$2) }
    }

    mutating func close(code: UInt16 = 4401) -> [RecordedEngineStep] {
        self.run { $0.close(code: code, reason: "over", at: $1, into: &$2) }
    }

    mutating func tick(at now: Int64? = nil) -> [RecordedEngineStep] {
        if let now { self.now = now }
        return self.run { $0.tick(at: $1, into: &$2) }
    }

    private mutating func run(
        on bytes: [UInt8] = [], _ body: (inout EngineSession, Int64, inout EngineSteps) -> Void
    ) -> [RecordedEngineStep] {
        var steps = EngineSteps()
        body(&self.session, self.now, &steps)
        return Self.recordedSteps(steps, bytes)
    }

    private static func recordedSteps(_ steps: EngineSteps, _ received: [UInt8])
        -> [RecordedEngineStep]
    {
        steps.list.compactMap { step in
            switch step {
            case .answer(let request, .payload(let range)):
                .payload(
                    Int(request.rawValue), String(decoding: steps.text.bytes[range], as: UTF8.self))
            case .answer(let request, .accepted): .accepted(Int(request.rawValue))
            case .answer(let request, .refused(let refusal)):
                .refused(Int(request.rawValue), refusal)
            case .send(let packet, let socket):
                .sent(
                    Int(socket.rawValue), packet.withBytes { String(decoding: $0, as: UTF8.self) })
            case .closeSocket(let socket, let code, _): .closedSocket(Int(socket.rawValue), code)
            case .message(let range): .message(String(decoding: received[range], as: UTF8.self))
            case .binary: .binary
            case .control: nil
            case .upgraded(let socket): .upgraded(Int(socket.rawValue))
            case .closed(let closure): .closed(closure)
            }
        }
    }
}
