internal import Bytes

/// One session of Engine.IO v4: a client's packets in both directions, over polling, over a
/// WebSocket and during the upgrade.
///
/// A value that receives events and returns steps. Times are milliseconds of a monotonic clock, and
/// only `tick` checks deadlines. After a pause of the process, the caller first reads the received
/// data and then ticks. So a client whose pong is already in the socket does not time out.
public struct EngineSession: Sendable {
    enum State: Sendable {
        case polling(Polling)
        case webSocket(EngineSocketID)
        /// Later polls receive the remaining packets.
        case closing(EngineClosure, until: Int64)
        case closed(EngineClosure)
    }

    struct Polling: Sendable {
        /// The waiting poll.
        var poll: EngineRequestID?
        /// The waiting poll gets nothing before this report, or until it is overdue.
        var awaitedReport: AwaitedReport?
        /// The POST whose body is still incomplete.
        var post: EngineRequestID?
        /// The WebSocket that tries to take over.
        var probe: UpgradeProbe?
    }

    struct LastPoll: Sendable {
        let request: EngineRequestID
        /// The proof that its answer has arrived.
        let proof: EnginePollProof
        /// How many polls before it had the same mark.
        var repeats = 0
    }

    /// A report of the arrival of an answer that may be on its way.
    struct AwaitedReport: Sendable {
        let answer: EngineRequestID
        let until: Int64
    }

    struct UpgradeProbe: Sendable {
        let socket: EngineSocketID
        let deadline: Int64
        /// When a poll without packets may be released; nil before the client's `2probe`.
        var noopDue: Int64?
    }

    enum Heartbeat: Sendable {
        case pingDue(Int64)
        case pongDue(Int64)
    }

    /// Polls are released at this interval during an upgrade, because a client that does not know
    /// of it yet polls again at once.
    static let noopInterval: Int64 = 100

    public let id: EngineSessionID
    let settings: EngineSettings
    var state: State
    var heartbeat: Heartbeat
    /// The milliseconds from the last answered ping to its pong; nil before the first pong.
    public private(set) var roundTrip: Int64?
    var packetQueue = PacketQueue()
    /// The poll that waits or was answered last.
    var lastPoll: LastPoll?

    /// Creates a session that a poll opens. The response is the handshake.
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

    /// Creates a session that a WebSocket opens, and sends the handshake on it.
    public init(
        _ id: EngineSessionID, _ settings: EngineSettings, openedOn socket: EngineSocketID,
        at now: Int64, into steps: inout EngineSteps
    ) {
        self.init(id, settings, movedTo: socket, at: now)
        var open = ByteBuffer()
        open.append(engineOpen: EngineHandshake(id, over: .webSocket, settings))
        steps.append(.send(SharedPacket(SharedFrame(open.bytes)), socket))
    }

    /// Creates a session that was upgraded on another node, which removes it. The heartbeat starts
    /// again.
    public init(
        _ id: EngineSessionID, _ settings: EngineSettings, movedTo socket: EngineSocketID,
        at now: Int64
    ) {
        self.id = id
        self.settings = settings
        self.state = .webSocket(socket)
        self.heartbeat = .pingDue(now + settings.pingInterval)
    }

    /// The WebSocket of the session; nil while it polls. No packets wait in the queue while there
    /// is a WebSocket, so a broadcast can write its frame directly to this socket.
    public var socket: EngineSocketID? {
        if case .webSocket(let socket) = self.state { socket } else { nil }
    }

    /// Why the session has ended or is closing; nil before that.
    public var closure: EngineClosure? {
        switch self.state {
        case .polling, .webSocket: nil
        case .closing(let closure, _), .closed(let closure): closure
        }
    }

    /// The number of packets waiting for a poll. Senders of many packets use it for flow control.
    public var waitingPackets: Int { self.packetQueue.count }
    /// The number of bytes waiting for a poll.
    public var waitingBytes: Int { self.packetQueue.byteCount }

    /// Sends a packet: on the WebSocket at once, over polling with the next `flush`.
    ///
    /// So all packets of one turn of a loop share one polling response. If the queue is full, the
    /// session is closed and no packet is dropped: a gap that the client does not know of is worse
    /// than a reconnect. A session that has ended or is closing sends nothing more.
    ///
    /// - Parameter packet: the whole packet as text, starting with its type byte. It must not
    ///   contain a separator (0x1E).
    public mutating func send(_ packet: SharedPacket, into steps: inout EngineSteps) {
        switch self.state {
        case .webSocket(let socket):
            steps.append(.send(packet, socket))
        case .polling:
            if !self.hasRoom(for: packet) { self.flush(into: &steps) }
            // A packet longer than the whole queue can still be sent on its own. It does not mean
            // that the client has stopped polling.
            guard self.packetQueue.isEmpty || self.hasRoom(for: packet) else {
                self.end(.queueFull, into: &steps)
                return
            }
            self.packetQueue.append(packet)
        case .closing, .closed:
            return
        }
    }

    /// Sends a packet that must travel in the same polling response as the packet before it. While
    /// that packet waits, there is room for this one, because neither of the two may be sent or
    /// dropped separately.
    public mutating func send(companion packet: SharedPacket, into steps: inout EngineSteps) {
        guard case .polling = self.state, self.packetQueue.canAppendCompanion else {
            return self.send(packet, into: &steps)
        }
        self.packetQueue.append(companion: packet)
    }

    private func hasRoom(for packet: SharedPacket) -> Bool {
        self.packetQueue.count < self.settings.queuedPackets
            && self.packetQueue.byteCount + packet.count <= self.settings.queuedBytes
    }

    /// Processes a valid packet of the client, over either transport. A returned closure ends the
    /// session.
    mutating func process(_ packet: EnginePacket, at now: Int64, into steps: inout EngineSteps)
        -> EngineClosure?
    {
        switch packet.kind {
        case .message:
            steps.append(packet.isBinary ? .binary : .message(packet.data))
            return nil
        case .pong:
            // An unsolicited pong is ignored: it must not delay the next ping.
            if case .pongDue(let due) = self.heartbeat {
                self.roundTrip = max(0, now - (due - self.settings.pingTimeout))
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
