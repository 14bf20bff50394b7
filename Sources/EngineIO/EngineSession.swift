public import Bytes

/// One session of Engine.IO v4: a client's packets in and out, over polling, over a WebSocket, and while it goes from one to the other.
///
/// A value that is told what happened and says what is to be done. Times are milliseconds of a clock that never goes back, and deadlines
/// are looked at in `tick` only: after a process stood still, its shell reads what arrived meanwhile before it ticks, and nobody is taken
/// for dead whose pong lies in a socket.
public struct EngineSession: Sendable {
    /// What carries the packets.
    enum State: Sendable {
        case polling(Polling)
        case webSocket(EngineSocketID)
        /// The last polls get what is left to say.
        case closing(EngineClosure, until: Int64)
        case closed(EngineClosure)
    }

    struct Polling: Sendable {
        /// The poll that waits.
        var poll: EngineRequestID?
        /// The POST whose body has not come to its end.
        var post: EngineRequestID?
        /// The WebSocket that is to take over.
        var probe: UpgradeProbe?
    }

    struct UpgradeProbe: Sendable {
        let socket: EngineSocketID
        let deadline: Int64
        /// When a poll that has nothing to carry may be released; nil before the client's `2probe`.
        var noopDue: Int64?
    }

    enum Heartbeat: Sendable {
        case pingDue(Int64)
        case pongDue(Int64)
    }

    /// Polls are released this often while a WebSocket takes over: a client that has not heard of it yet polls again at once.
    static let noopInterval: Int64 = 100

    /// What the client names it by.
    public let id: EngineSessionID
    let settings: EngineSettings
    var state: State
    var heartbeat: Heartbeat
    var outbox = EngineOutbox()

    /// A session that is opened by a poll; its answer is the handshake.
    public init(
        _ id: EngineSessionID, _ settings: EngineSettings, openedBy request: EngineRequestID,
        at now: Int64, into steps: inout EngineSteps
    ) {
        self.id = id
        self.settings = settings
        self.state = .polling(Polling())
        self.heartbeat = .pingDue(now + settings.pingInterval)
        steps.answer(request) {
            $0.append(engineOpen: EngineHandshake(id, over: .polling, settings))
        }
    }

    /// A session that is opened by a WebSocket, on which the handshake is sent.
    public init(
        _ id: EngineSessionID, _ settings: EngineSettings, openedOn socket: EngineSocketID,
        at now: Int64, into steps: inout EngineSteps
    ) {
        self.init(id, settings, movedTo: socket, at: now)
        var open = ByteBuffer()
        open.append(engineOpen: EngineHandshake(id, over: .webSocket, settings))
        steps.append(.send(SharedFrame(open.bytes), socket))
    }

    /// A session that was upgraded elsewhere, where nobody needs to know it any more; its heartbeat begins anew.
    public init(
        _ id: EngineSessionID, _ settings: EngineSettings, movedTo socket: EngineSocketID,
        at now: Int64
    ) {
        self.id = id
        self.settings = settings
        self.state = .webSocket(socket)
        self.heartbeat = .pingDue(now + settings.pingInterval)
    }

    /// The WebSocket that carries the session; nil while it polls. While there is one nothing waits here, so that whoever has a frame ready
    /// for many sockets may send it to this one past the session.
    public var socket: EngineSocketID? {
        if case .webSocket(let socket) = self.state { socket } else { nil }
    }

    /// Why the session is over or about to be; nil while it lives.
    public var closure: EngineClosure? {
        switch self.state {
        case .polling, .webSocket: nil
        case .closing(let why, _), .closed(let why): why
        }
    }

    /// How many packets wait for a poll: whoever has much to send paces it by this.
    public var waitingPackets: Int { self.outbox.count }
    /// How many bytes wait for a poll.
    public var waitingBytes: Int { self.outbox.byteCount }

    /// Sends a packet: on the WebSocket at once, to a poll with the next `flush`.
    ///
    /// What is sent in one turn of a loop shares its polling answer that way. When more waits than may, the session is closed and nothing
    /// dropped out of its middle: a gap that the client does not know of is worse than a connection that begins anew. A session that is
    /// over, or that this side has closed, says nothing more.
    ///
    /// - Parameter packet: the whole packet as text, its type's letter first; it must not hold a separator (0x1E).
    public mutating func send(_ packet: SharedFrame, into steps: inout EngineSteps) {
        switch self.state {
        case .webSocket(let socket):
            steps.append(.send(packet, socket))
        case .polling:
            if !self.hasRoom(for: packet) { self.flush(into: &steps) }
            // What is longer than the whole outbox can still be sent, alone: it is no sign of a client that does not poll.
            guard self.outbox.isEmpty || self.hasRoom(for: packet) else {
                self.end(.outboxFull, into: &steps)
                return
            }
            self.outbox.append(packet)
        case .closing, .closed:
            return
        }
    }

    /// Sends a packet that must travel in the same polling answer as the one before it. Where that waits, there is room for this one: sent
    /// away alone, or given up alone, each of the two would be wrong.
    public mutating func send(companion packet: SharedFrame, into steps: inout EngineSteps) {
        guard case .polling = self.state, self.outbox.canAppendCompanion else {
            return self.send(packet, into: &steps)
        }
        self.outbox.append(companion: packet)
    }

    private func hasRoom(for packet: SharedFrame) -> Bool {
        self.outbox.count < self.settings.outboxPackets
            && self.outbox.byteCount + packet.count <= self.settings.outboxBytes
    }

    /// What a valid packet of the client's means, whatever carried it; an answer ends the session.
    mutating func process(_ packet: EnginePacket, at now: Int64, into steps: inout EngineSteps)
        -> EngineClosure?
    {
        switch packet.kind {
        case .message:
            steps.append(packet.isBinary ? .binary : .message(packet.data))
            return nil
        case .pong:
            // A pong that nobody asked for proves nothing: it must not keep the next ping from being sent.
            if case .pongDue = self.heartbeat {
                self.heartbeat = .pingDue(now + self.settings.pingInterval)
            }
            return nil
        case .noop:
            return nil
        case .close:
            return .byClient
        case .open, .ping, .upgrade:
            return .unexpected(packet.kind)
        }
    }
}
