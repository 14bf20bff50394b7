import Cluster
import ClusterWire

/// Finds out whether the other nodes have evicted this one while it cannot reach Redis.
///
/// Without Redis a node does not know whether Redis is gone, or only its own way there. In the
/// latter case the others evict it and serve its conversations, so its clients are better off with
/// them. It therefore asks the others at their admin addresses.
///
/// A value: it receives events, and says when the next question is due.
struct EvictionCheck {
    /// Whether the clients of this node are served by other nodes.
    private(set) var isEvicted = false
    private var nextQuestion: Int64 = .min
    private var questionCount = 0

    /// The milliseconds between two questions.
    static let period: Int64 = 1000
    /// The question whether its sender is in the receiver's view. Every node with the cluster's key
    /// gets an answer.
    static let request = NodeRequest("membership")

    static func answer(isMember: Bool) -> String {
        isMember ? #"{"is_member":true}"# : #"{"is_member":false}"#
    }

    /// - Parameters:
    ///   - silence: the milliseconds since Redis' last reply; nil while Redis answers.
    ///   - peerCount: how many other nodes were in the last view.
    /// - Returns: the index of the node to ask now, if a question is due.
    mutating func tick(at now: Int64, silence: Int64?, peerCount: Int) -> Int? {
        guard let silence, silence >= ClusterMembership.evictionTimeout else {
            self.isEvicted = false
            return nil
        }
        guard !self.isEvicted, peerCount > 0, now >= self.nextQuestion else { return nil }
        self.nextQuestion = now + Self.period
        self.questionCount += 1
        return self.questionCount % peerCount
    }

    /// Another node has answered `request`.
    mutating func answered(_ text: String, silence: Int64?) {
        guard let silence, silence >= ClusterMembership.evictionTimeout else { return }
        if text == Self.answer(isMember: false) { self.isEvicted = true }
    }
}
