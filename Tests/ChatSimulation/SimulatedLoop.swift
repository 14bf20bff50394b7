import ChatModel
import Cluster

/// One event-loop thread of one node: its chat, and what a gateway would keep beside it.
struct SimulatedLoop {
    /// What a client waits for.
    struct SimulatedRequest {
        enum Kind {
            case join
            case send(MessageBody)
            case amendment(SequenceNumber)
            case page
            case replay
            case other(String)
        }

        let kind: Kind
        let client: Int
        let connection: Int
        let requestedAt: Int64
        /// The newest message on the asker's screen.
        let through: SequenceNumber
        /// An entrance that was cancelled may be answered, or not.
        var isCancelled = false
    }

    var id: LoopID
    let node: Int
    var chat: ChatLoop
    var isTurnDue = false
    /// Its node has died: nothing happens on it any more.
    var isDead = false
    /// Until then nothing happens on it.
    var frozenUntil: Int64 = 0
    /// It has stood still for long and will notice when it goes on.
    var hasStalled = false
    var subscribers: [FeedID: [Int]] = [:]
    var requests: [UInt64: SimulatedRequest] = [:]
    private var lastContext: UInt64 = 0

    init(id: LoopID, node: Int, view: View, limits: ChatLimits) {
        self.id = id
        self.node = node
        self.chat = ChatLoop(id: id, view: view, limits: limits)
    }

    mutating func add(_ question: SimulatedRequest) -> UInt64 {
        self.lastContext += 1
        self.requests[self.lastContext] = question
        return self.lastContext
    }
}
