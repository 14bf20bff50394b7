internal import EngineIO
internal import EventLoop

/// A request from a client of this node, forwarded to the node that has its session.
struct OutboundRequest: Sendable {
    let kind: NodeSessionRequest.Kind
    let address: EngineSessionAddress
    let identity: EngineRequestIdentity
    /// The connection that waits for the reply.
    let requester: SocketToken
    let body: String
    let proof: EnginePollProof
    /// When the request is repeated if no reply has come.
    var retryAt: Int64 = 0
    let deadline: Int64

    init(
        _ kind: NodeSessionRequest.Kind, to address: EngineSessionAddress,
        by identity: EngineRequestIdentity, for requester: SocketToken, body: String,
        proof: EnginePollProof = .nextPoll, at now: Int64
    ) {
        self.kind = kind
        self.address = address
        self.identity = identity
        self.requester = requester
        self.body = body
        self.proof = proof
        self.deadline = Self.isLongRunning(kind) ? .max : now + Self.timeoutMilliseconds
    }

    /// Whether the reply may take any time: it depends on the client.
    private static func isLongRunning(_ kind: NodeSessionRequest.Kind) -> Bool {
        kind == .poll || kind == .postStarted
    }

    /// A poll stays pending for long, and each repetition tells the session's node that the client
    /// still waits.
    var retryInterval: Int64 { Self.isLongRunning(self.kind) ? 3000 : 250 }
    private static let timeoutMilliseconds: Int64 = 10_000
}

/// A pending request of an HTTP connection.
struct LocalRequest: Sendable {
    enum State: Sendable {
        /// A session on this loop answers.
        case poll(SocketToken)
        case post(SocketToken)
        /// A POST for a session on another node, whose body is still being received.
        case receivingPost(ForwardedPost)
        /// The reply to the outbound request with this number answers.
        case forwarded(UInt64)
    }

    struct ForwardedPost: Sendable {
        let number: UInt64
        let address: EngineSessionAddress
        let identity: EngineRequestIdentity
    }

    var state: State
    /// The connection closes after the response, because the rest of the body is not read.
    var closes = false

    init(_ state: State, closes: Bool = false) {
        self.state = state
        self.closes = closes
    }
}

/// A WebSocket that is to take over a session.
enum TransportProbe: Sendable {
    /// A polling session on this loop.
    case local(SocketToken)
    case outbound(OutboundProbe)
}

/// A WebSocket on this node that is to take over a session on another node.
struct OutboundProbe: Sendable {
    let number: UInt64
    let address: EngineSessionAddress
    /// `2probe` has been received.
    var hasReceivedProbe = false
    /// The number of the request to take over.
    var takeOver: UInt64?
}
