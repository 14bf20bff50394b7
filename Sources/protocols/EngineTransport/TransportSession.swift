internal import Bytes
internal import EngineIO

/// The state of one session in `EngineServer`.
struct TransportSession: Sendable {
    /// The session's own WebSocket.
    enum SocketState: Equatable {
        /// Packets wait for polls.
        case none
        /// The WebSocket has taken over, and its socket is being attached to the session's
        /// connection. Until then nothing can be written.
        case attaching(EngineSocketID)
        case attached(EngineSocketID)

        var id: EngineSocketID? {
            switch self {
            case .none: nil
            case .attaching(let id), .attached(let id): id
            }
        }
    }

    /// Packets wait in the queue up to this size. Further frames stay with the caller, as with a
    /// socket that accepts no more.
    static let queuedBytes = 256 << 10

    var engine: EngineSession
    var socket: SocketState
    /// The session was opened with an invalid token. It reports that when the client connects.
    let hasInvalidToken: Bool
    /// Requests that other nodes forwarded, by number: the pending ones, and the last ones
    /// answered.
    var inbound: [UInt64: InboundRequest] = [:]
    /// Messages from POSTs that arrived while reading was paused, oldest first.
    private(set) var unread: [[UInt8]] = []
    private(set) var unreadBytes = 0
    /// The session is in `EngineServer.unflushed`.
    var needsFlush = false

    init(_ engine: EngineSession, socket: SocketState = .none, hasInvalidToken: Bool = false) {
        self.engine = engine
        self.socket = socket
        self.hasInvalidToken = hasInvalidToken
    }

    var isAttaching: Bool {
        if case .attaching = self.socket { true } else { false }
    }

    var isAttached: Bool {
        if case .attached = self.socket { true } else { false }
    }

    /// A client whose messages wait may send at most one more payload.
    func hasTooMuchUnread(_ settings: EngineSettings) -> Bool {
        self.unreadBytes > settings.maxPayload
    }

    mutating func update(
        _ steps: inout EngineSteps, _ body: (inout EngineSession, inout EngineSteps) -> Void
    ) {
        body(&self.engine, &steps)
    }

    enum WriteResult {
        case rejected
        /// - Parameter isFirst: whether it is the first frame since the last flush.
        case accepted(isFirst: Bool)
    }

    /// Appends a frame to the queue, unless this many bytes wait there.
    mutating func write(
        _ frame: EngineFrame, within byteLimit: Int, at now: Int64, into steps: inout EngineSteps
    ) -> WriteResult {
        guard !self.isAttaching,
            frame.staysWithPrevious || self.engine.waitingBytes < byteLimit
        else { return .rejected }
        switch frame {
        case .packet(let packet, staysWithPrevious: false):
            self.engine.send(packet, into: &steps)
        case .packet(let packet, staysWithPrevious: true):
            self.engine.send(companion: packet, into: &steps)
        case .close(let code, let reason):
            self.engine.close(code: code, reason: reason, at: now, into: &steps)
        }
        defer { self.needsFlush = true }
        return .accepted(isFirst: !self.needsFlush)
    }

    // MARK: Unread messages

    mutating func appendUnread(_ message: ArraySlice<UInt8>) {
        self.unread.append(Array(message))
        self.unreadBytes += message.count
    }

    mutating func removeUnread() -> [[UInt8]] {
        defer {
            self.unread = []
            self.unreadBytes = 0
        }
        return self.unread
    }

    mutating func prependUnread(_ messages: ArraySlice<[UInt8]>) {
        self.unread.insert(contentsOf: messages, at: 0)
        self.unreadBytes += messages.reduce(0) { $0 + $1.count }
    }

    // MARK: Requests of other nodes

    /// Records a request. If too many are recorded, the oldest answered one is forgotten.
    mutating func record(_ request: InboundRequest, _ number: UInt64) {
        if self.inbound.count >= InboundRequest.perSessionLimit,
            let oldest = self.inbound.filter({ $0.value.reply != nil }).min(by: {
                $0.value.lastRequestedAt < $1.value.lastRequestedAt
            })
        {
            self.inbound[oldest.key] = nil
        }
        self.inbound[number] = request
    }

    /// Forgets the replies to all polls except this one, which is the last one. Its reply is
    /// sufficient: the client polls again only after it has received it.
    mutating func forgetReplies(toPollsExcept number: UInt64) {
        self.inbound = self.inbound.filter {
            $0.key == number || $0.value.kind != .poll || $0.value.reply == nil
        }
    }
}
