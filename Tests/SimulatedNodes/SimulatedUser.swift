import Bytes
import EventLoop
import HTTPWire
import JSON
import SeededRandom
import SimulatedNetwork

/// A user of the Conversations protocol on a simulated machine. It sends messages, reconnects after
/// every failure to another node, and sends again what was not answered.
final class SimulatedUser: SimulatedProcess {
    /// A message as the user received it.
    struct UsersMessage: Hashable {
        let id: Int
        let sender: String
        let localID: String
        let content: String
    }

    private struct UnansweredSend {
        let localID: String
        let content: String
        var sentAt: Int64
        /// The send failed, and is repeated at this time.
        var retryAt: Int64?
    }

    private enum UserState {
        case waiting(until: Int64)
        case connecting(Socket, WebSocketClientHandshake)
        case open(Socket)
    }

    let name: String
    let conversation: String
    private let nodes: [String]
    private var random: SeededGenerator
    private var state: UserState
    private var input: [UInt8] = []
    private var output = ByteBuffer()
    private var reader = WebSocketReader(role: .client)
    /// The time at which the last byte arrived.
    private var heardAt: Int64 = 0

    /// All messages, without gaps from the first one on.
    private(set) var messages: [UsersMessage] = []
    /// The texts that were sent and not answered, in the order of their first send.
    private var unanswered: [UnansweredSend] = []
    /// The texts that were answered: stored for ever.
    private(set) var acknowledged: [String: String] = [:]
    /// The number of WebSockets that were opened.
    private(set) var connectionCount = 0
    /// The first broken promise.
    private(set) var violation: String?
    private var sentCount = 0
    private var nextSend: Int64 = 0
    var sends: Bool

    private static let unansweredLimit = 20
    private static let checkInterval: Int64 = 500_000_000
    private static let silenceLimit: Int64 = 12_000_000_000
    private static let answerLimit: Int64 = 15_000_000_000

    init(_ name: String, in conversation: String, nodes: [String], sends: Bool, seed: UInt64) {
        self.name = name
        self.conversation = conversation
        self.nodes = nodes
        self.sends = sends
        self.random = SeededGenerator(seed: seed)
        self.state = .waiting(until: 0)
    }

    /// Learns about connections and their ends.
    var note: (String) -> Void = { _ in }
    /// The last refusal of a send.
    private var lastFailure: String?

    /// For a violation: what waits for an answer, and why.
    var unansweredText: String {
        "\(self.name) waits for an answer to \(self.unanswered.count) sends, "
            + "first \(self.unanswered.first?.localID ?? "none"); the last refusal is "
            + (self.lastFailure ?? "none")
    }

    /// Whether everything sent was answered.
    var isSettled: Bool { self.unanswered.isEmpty }

    func run() -> Int64? {
        let now = MonotonicTime.exact.nanoseconds
        switch self.state {
        case .waiting(let time):
            guard now >= time else { return time - now }
            self.connect(at: now)
        case .connecting(let socket, let handshake):
            self.read(socket, at: now)
            if case .connecting = self.state { self.finish(handshake, socket, at: now) }
        case .open(let socket):
            self.read(socket, at: now)
        }
        if case .open = self.state { self.handleFrames(at: now) }
        if case .open(let socket) = self.state { self.send(over: socket, at: now) }
        self.checkTimes(at: now)
        if case .waiting(let time) = self.state { return max(1000, time - now) }
        guard self.sends, case .open = self.state, self.unanswered.count < Self.unansweredLimit
        else { return Self.checkInterval }
        return min(Self.checkInterval, max(1000, self.nextSend - now))
    }

    // MARK: Connections

    private func connect(at now: Int64) {
        guard let node = self.random.pick(self.nodes),
            let address = SocketAddress(literal: node, port: ServingNode.port),
            let path = try? ServingNode.path(
                self.name, in: self.conversation, after: self.messages.last?.id ?? 0),
            let socket = try? Socket.connect(to: address)
        else { return self.retry("no connection", at: now) }
        let handshake = WebSocketClientHandshake(using: &self.random)
        self.input = []
        self.output = ByteBuffer()
        self.reader = WebSocketReader(role: .client)
        self.heardAt = now
        handshake.appendRequest(to: &self.output, target: path, host: address.text)
        self.state = .connecting(socket, handshake)
    }

    private func retry(_ reason: String, at now: Int64) {
        self.note("\(self.name): \(reason)")
        switch self.state {
        case .connecting(let socket, _), .open(let socket): socket.close()
        case .waiting: break
        }
        self.state = .waiting(until: now + self.random.number(100_000_000...2_000_000_000))
    }

    private func read(_ socket: Socket, at now: Int64) {
        self.write(to: socket, at: now)
        withUnsafeTemporaryAllocation(byteCount: 1 << 15, alignment: 1) { buffer in
            while true {
                switch socket.read(into: buffer) {
                case .bytes(let count):
                    self.input += buffer[..<count]
                    self.heardAt = now
                case .wouldBlock: return
                // Frames that arrived before the end are still read.
                case let end:
                    self.handleFrames(at: now)
                    return self.retry("\(end)", at: now)
                }
            }
        }
    }

    private func write(to socket: Socket, at now: Int64) {
        while !self.output.isEmpty {
            guard case .bytes(let count) = self.output.bytes.withUnsafeBytes({ socket.write($0) })
            else { return }
            self.output.bytes.removeFirst(count)
        }
    }

    private func finish(_ handshake: WebSocketClientHandshake, _ socket: Socket, at now: Int64) {
        self.write(to: socket, at: now)
        var head = HTTPResponseHead()
        var parser = HTTPResponseParser()
        do {
            guard try parser.parse(self.input.span.bytes, into: &head) else { return }
            _ = try handshake.verify(head, in: self.input.span.bytes)
        } catch { return self.retry("\(error)", at: now) }
        self.input.removeFirst(head.byteCount)
        self.state = .open(socket)
        self.connectionCount += 1
        self.note("\(self.name): open to \(socket.peerAddress?.text ?? "a node")")
        // What was not answered is sent again, in its order.
        for index in self.unanswered.indices { self.sendFrame(index, at: now) }
    }

    private func checkTimes(at now: Int64) {
        if case .waiting = self.state { return }
        let isUnanswered = self.unanswered.contains { $0.sentAt + Self.answerLimit < now }
        if now - self.heardAt > Self.silenceLimit { self.retry("silence", at: now) }
        if case .open = self.state, isUnanswered { self.retry("no answer", at: now) }
    }

    // MARK: Sending

    private func send(over socket: Socket, at now: Int64) {
        if self.sends, now >= self.nextSend, self.unanswered.count < Self.unansweredLimit {
            self.sentCount += 1
            let content = "\(self.random.next())"
            self.unanswered.append(
                UnansweredSend(
                    localID: "\(self.name)-\(self.sentCount)", content: content, sentAt: now))
            self.sendFrame(self.unanswered.count - 1, at: now)
            self.nextSend = now + self.random.number(50_000_000...3_000_000_000)
        }
        for index in self.unanswered.indices {
            if let time = self.unanswered[index].retryAt, time <= now {
                self.sendFrame(index, at: now)
            }
        }
        self.write(to: socket, at: now)
    }

    private func sendFrame(_ index: Int, at now: Int64) {
        self.unanswered[index].sentAt = now
        self.unanswered[index].retryAt = nil
        let (id, content) = (self.unanswered[index].localID, self.unanswered[index].content)
        self.output.append(
            webSocketText:
                #"{"action":"send_message","content":"\#(content)","local_id":"\#(id)"}"#,
            mask: UInt32(truncatingIfNeeded: self.random.next()))
    }

    // MARK: Receiving

    private func handleFrames(at now: Int64) {
        var offset = 0
        var texts: [String] = []
        var isClosed = false
        let mask = UInt32(truncatingIfNeeded: self.random.next())
        self.input.withUnsafeMutableBytes { bytes in
            while let frame = try? self.reader.next(
                in: bytes, from: &offset, limits: WebSocketLimits())
            {
                switch frame {
                case .message(_, let range):
                    texts.append(String(decoding: bytes[range], as: UTF8.self))
                case .ping(let range):
                    self.output.append(
                        webSocketFrame: .pong,
                        payload: UnsafeRawBufferPointer(
                            rebasing: bytes[range]), mask: mask)
                case .close: isClosed = true
                default: break
                }
            }
        }
        self.input.removeFirst(offset)
        for text in texts { self.receive(text, at: now) }
        if isClosed { self.retry("closed", at: now) }
    }

    private func receive(_ text: String, at now: Int64) {
        guard let frame = try? JSONTree(parsing: text), let type = frame["type"]?.stringValue else {
            return self.violate("received a frame that is not JSON: \(text)")
        }
        switch type {
        case "chat_message":
            guard let message = frame["message"], let id = message["id"]?.stringValue,
                let id = Int(id), let sender = message["sender_id"]?.stringValue,
                let localID = message["local_id"]?.stringValue,
                let content = message["content"]?.stringValue
            else { return self.violate("received a malformed message: \(text)") }
            self.receive(UsersMessage(id: id, sender: sender, localID: localID, content: content))
        case "error" where text.contains("history"): self.violate("received \(text)")
        case "message.failed":
            self.lastFailure = text
            let index = self.unanswered.firstIndex {
                $0.localID == frame["local_id"]?.stringValue
            }
            if let index { self.unanswered[index].retryAt = now + 500_000_000 }
        default: break
        }
    }

    private func receive(_ message: UsersMessage) {
        let expected = (self.messages.last?.id ?? 0) + 1
        let isOwn = message.sender == self.name
        if message.id == expected {
            self.messages.append(message)
        } else if message.id > expected {
            return self.violate("received message \(message.id) instead of \(expected)")
        } else if self.messages[message.id - 1] != message {
            return self.violate("received message \(message.id) in two forms")
        } else if !isOwn {
            return self.violate("received message \(message.id) twice")
        }
        guard isOwn else { return }
        self.unanswered.removeAll { $0.localID == message.localID }
        self.acknowledged[message.localID] = message.content
    }

    private func violate(_ text: String) {
        self.violation = self.violation ?? "\(self.name) \(text)"
    }
}
