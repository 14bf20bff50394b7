import ChatEngine
import ChatModel
import Cluster

/// One event loop of a node: its chat engine, and the state that a gateway would keep for it.
struct SimulatedLoop {
    /// A request that a client waits for.
    struct SimulatedRequest {
        enum Kind {
            case join
            case send(MessageBody)
            case amendment(SequenceNumber)
            /// The number of the checker's request.
            case annotation(Int)
            case pins
            case page
            case replay
            case other(String)
        }

        let kind: Kind
        let client: Int
        let connection: Int
        let requestedAt: Int64
        /// The newest message on the requester's screen.
        let through: SequenceNumber
        /// A cancelled join may be answered or not.
        var isCancelled = false
    }

    var id: LoopID
    let node: Int
    var chat: ChatLoop
    var isTurnDue = false
    /// Its node has crashed, so it executes no actions any more.
    var isDead = false
    /// It executes no actions until then.
    var frozenUntil: Int64 = 0
    /// It was stalled for long and notices it when it resumes.
    var hasStalled = false
    /// When it learns about the newest view of its node. Views arrive in order.
    var followsAt: Int64 = 0
    var subscribers: [FeedID: [Int]] = [:]
    var requests: [RequestContextID: SimulatedRequest] = [:]
    private(set) var lastContext: UInt64 = 0

    init(id: LoopID, node: Int, view: View, limits: Limits) {
        self.id = id
        self.node = node
        self.chat = ChatLoop(id: id, view: view, limits: limits)
    }

    mutating func add(_ request: SimulatedRequest) -> RequestContextID {
        self.lastContext += 1
        let context = RequestContextID(rawValue: self.lastContext)
        self.requests[context] = request
        return context
    }
}
