import Bytes
import JSON
import SocketIO

/// Executes the events that lines encode on a session, and checks every step.
struct CheckedSocketSession {
    private var session = SocketSession(openedAt: 0)
    private var document = JSONDocument()
    private var steps = SocketSteps()
    private var now: Int64 = 0
    private var connectCount = 0
    private(set) var isAlive = true

    mutating func execute(_ line: [UInt8]) {
        let wasAlive = self.isAlive
        let wasConnected = self.session.isConnected
        switch line {
        case Array("B".utf8): self.session.receivedBinary(into: &self.steps)
        case Array("D".utf8): self.session.disconnect(at: self.now, into: &self.steps)
        case Array("T".utf8):
            self.now += 45_000
            self.session.tick(at: self.now, into: &self.steps)
        default:
            self.session.received(
                line.span.bytes, reading: &self.document, at: self.now, into: &self.steps)
        }
        precondition(
            wasAlive || self.steps.list.isEmpty,
            "A step follows the end of the connection: \(self.steps.list)")
        precondition(
            self.steps.list.count <= 1, "One input caused several steps: \(self.steps.list)")
        if let step = self.steps.list.first {
            self.checkStep(step, line, wasConnected: wasConnected)
        }
        self.steps.removeAll()
        precondition(
            !self.session.isConnected || self.isAlive && self.session.deadline == nil,
            "A connected client still has a deadline.")
        precondition(
            self.isAlive || self.session.deadline == nil,
            "An ended connection still has a deadline.")
    }

    private mutating func checkStep(_ step: SocketStep, _ line: [UInt8], wasConnected: Bool) {
        switch step {
        case .send(let range):
            self.readBack(Array(self.steps.text.bytes[range]))
        case .connect(let auth, _):
            precondition(!wasConnected && !self.session.isConnected && self.session.deadline == nil)
            precondition(auth.map { JSONTree.isObject(Array(line[$0])) } ?? true)
            self.connectCount += 1
            self.steps.removeAll()
            if self.connectCount % 3 == 2 {
                self.session.refuse("not \u{1E} you", into: &self.steps)
                precondition(self.session.deadline != nil)
            } else {
                precondition(
                    self.session.accept(sid: "s\"", pid: "p\u{1E}", into: &self.steps)
                        && self.session.isConnected)
            }
            guard case .send(let range) = self.steps.list.first else {
                preconditionFailure("A CONNECT has no answer.")
            }
            self.readBack(Array(self.steps.text.bytes[range]))
        case .event(let event):
            precondition(wasConnected && event.payload.upperBound == line.count)
            let payload = Array(line[event.payload])
            let kind = self.document.kind(of: event.name)
            precondition(kind == .string || kind == .number)
            guard let tree = try? JSONTree(parsing: payload.span.bytes),
                let name = tree.elements?.first
            else {
                preconditionFailure(
                    "An event is not an array: \(String(decoding: payload, as: UTF8.self))")
            }
            precondition(self.document.tree(event.name, in: payload.span.bytes) == name, "\(name)")
            precondition(event.ackID.map { (0...SocketPacket.ackIDLimit).contains($0) } ?? true)
        case .acknowledged(let id, let range):
            precondition(
                wasConnected && range.upperBound == line.count
                    && (0...SocketPacket.ackIDLimit).contains(id))
        case .refuse(_, _, let sentence):
            precondition(wasConnected && !sentence.isEmpty && self.session.isConnected)
        case .disconnected:
            precondition(wasConnected && !self.session.isConnected)
        case .end(let closure):
            precondition(!closure.description.isEmpty)
            self.isAlive = false
        }
    }

    /// Every sent text is one packet and contains no separator that would split it.
    private func readBack(_ packet: [UInt8]) {
        precondition(!packet.contains(0x1E), "A separator was sent: \(packet)")
        do throws(SocketPacketError) {
            let read = try SocketPacket.parse(packet.span.bytes, limits: SocketLimits())
            precondition([.connect, .connectError, .disconnect].contains(read.kind))
            precondition(
                read.payload.map { JSONTree.isObject(Array(packet[$0])) }
                    ?? (read.kind == .disconnect))
        } catch {
            preconditionFailure(
                "Cannot parse a sent packet: \(error) \(String(decoding: packet, as: UTF8.self))"
            )
        }
    }
}

extension JSONTree {
    fileprivate static func isObject(_ bytes: [UInt8]) -> Bool {
        (try? JSONTree(parsing: bytes.span.bytes))?.members != nil
    }
}
