import ChatModel
import Cluster

/// One event-loop thread of one node: its chat, and what a gateway would keep beside it.
struct SimulatedLoop {
    /// What a client waits for.
    struct Question {
        enum Kind {
            case entrance
            case send(MessageBody)
            case amendment(SequenceNumber)
            case page
            case replay
            case other(String)
        }

        let kind: Kind
        let client: Int
        let connection: Int
        let askedAt: Int64
        /// The newest message on the asker's screen.
        let through: SequenceNumber
        /// An entrance that was cancelled may be answered, or not.
        var isCancelled = false
    }

    var id: OwnerID
    let node: Int
    var chat: ChatLoop
    var isTurnDue = false
    /// Its node has died: nothing happens on it any more.
    var isDead = false
    /// Until then nothing happens on it.
    var frozenUntil: Int64 = 0
    /// It has stood still for long and will notice when it goes on.
    var hasSlept = false
    var listeners: [FeedID: [Int]] = [:]
    var questions: [UInt64: Question] = [:]
    private var contexts: UInt64 = 0

    init(id: OwnerID, node: Int, view: View, limits: ChatLimits) {
        self.id = id
        self.node = node
        self.chat = ChatLoop(id: id, view: view, limits: limits)
    }

    mutating func note(_ question: Question) -> UInt64 {
        self.contexts += 1
        self.questions[self.contexts] = question
        return self.contexts
    }
}
