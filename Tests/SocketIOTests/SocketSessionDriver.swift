import Bytes
import JSON
import SocketIO

/// A step of a session, with the text that the step only refers to.
enum RecordedSocketStep: Hashable {
    case sent(String)
    case connect(auth: String?, pid: String?, offset: String?)
    case event(name: String, payload: String, ackID: Int?)
    case acknowledged(Int, String)
    case refused(ackID: Int?, event: String?, String)
    case disconnected
    case end(SocketClosure)
}

/// Drives a session with the document that a server would provide.
struct SocketSessionDriver {
    private(set) var session: SocketSession
    private var document = JSONDocument()
    var now: Int64 = 0

    init(limits: SocketLimits = SocketLimits()) {
        self.session = SocketSession(limits: limits, openedAt: 0)
    }

    /// Creates a session whose client is connected.
    static func connected(limits: SocketLimits = SocketLimits()) -> SocketSessionDriver {
        var driver = SocketSessionDriver(limits: limits)
        _ = driver.receive("0")
        _ = driver.accept()
        return driver
    }

    mutating func receive(_ text: String) -> [RecordedSocketStep] {
        self.receive(Array(text.utf8))
    }

    mutating func receive(_ text: [UInt8]) -> [RecordedSocketStep] {
        var steps = SocketSteps()
        self.session.received(text.span.bytes, reading: &self.document, at: self.now, into: &steps)
        return self.recordedSteps(steps, text)
    }

    mutating func receiveBinary() -> [RecordedSocketStep] {
        self.run { $0.receivedBinary(into: &$1) }
    }

    mutating func accept(sid: String = "me", pid: String? = nil) -> [RecordedSocketStep] {
        self.run { $0.accept(sid: sid, pid: pid, into: &$1) }
    }

    mutating func refuse(_ message: String) -> [RecordedSocketStep] {
        self.run { $0.refuse(message, into: &$1) }
    }

    mutating func disconnect() -> [RecordedSocketStep] {
        let now = self.now
        return self.run { $0.disconnect(at: now, into: &$1) }
    }

    mutating func tick(at now: Int64) -> [RecordedSocketStep] {
        self.now = now
        return self.run { $0.tick(at: now, into: &$1) }
    }

    private mutating func run(_ body: (inout SocketSession, inout SocketSteps) -> Void)
        -> [RecordedSocketStep]
    {
        var steps = SocketSteps()
        body(&self.session, &steps)
        return self.recordedSteps(steps, [])
    }

    private func recordedSteps(_ steps: SocketSteps, _ received: [UInt8]) -> [RecordedSocketStep] {
        func text(_ range: Range<Int>) -> String {
            String(decoding: received[range], as: UTF8.self)
        }
        return steps.list.map { step in
            switch step {
            case .send(let range): .sent(String(decoding: steps.text.bytes[range], as: UTF8.self))
            case .connect(let auth, let recovery):
                .connect(auth: auth.map(text), pid: recovery?.pid, offset: recovery?.offset)
            case .event(let event):
                .event(
                    name: self.name(of: event, in: received), payload: text(event.payload),
                    ackID: event.ackID)
            case .acknowledged(let id, let range): .acknowledged(id, text(range))
            case .refuse(let ackID, let event, let sentence):
                .refused(ackID: ackID, event: event?.string, sentence)
            case .disconnected: .disconnected
            case .end(let closure): .end(closure)
            }
        }
    }

    /// Reads the name as a dialect does: from the document, in the payload's bytes.
    private func name(of event: SocketEvent, in received: [UInt8]) -> String {
        let payload = Array(received[event.payload])
        if let name = self.document.string(event.name, in: payload.span.bytes) { return name }
        return String(decoding: payload[self.document.range(of: event.name)], as: UTF8.self)
    }
}
