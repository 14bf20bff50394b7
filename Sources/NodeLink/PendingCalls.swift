import ClusterWire

/// Why a question to another node has no answer.
public enum NodeCallError: Error, Sendable, Equatable {
    /// It did not come in time, or nobody hears that node's mailbox.
    case noAnswer
    /// Too many questions are under way.
    case tooMany
    /// The question, or the answer, is larger than a memo may be.
    case tooLong
}

/// The questions that a node has asked others, and those that it was asked.
///
/// Every question ends after its patience, answered or not: a dead node is an absence and never a wait. A question is answered once, so
/// that whoever can publish in Redis cannot have a node do again what it was asked before.
struct PendingCalls {
    typealias Reply = @Sendable (Result<String, NodeCallError>) -> Void

    struct PendingCall {
        let node: UInt64
        let deadline: Int64
        let reply: Reply
    }

    static let timeout: Int64 = 2000
    static let callLimit = 256
    static let requestLimit = 64

    private var calls: [UInt64: PendingCall] = [:]
    private var lastID: UInt64 = 0
    /// The newest question of each node.
    private var newestRequests: [UInt64: UInt64] = [:]
    private var requestsInProgress = 0

    /// - Returns: the question's id; nil when too many are under way.
    mutating func start(_ node: UInt64, at now: Int64, reply: @escaping Reply) -> UInt64? {
        guard self.calls.count < Self.callLimit else { return nil }
        self.lastID += 1
        self.calls[self.lastID] = PendingCall(
            node: node, deadline: now + Self.timeout, reply: reply)
        return self.lastID
    }

    /// Whose answer this is; nil when nobody waits for it, or another was asked.
    mutating func finish(_ id: UInt64, from node: UInt64) -> Reply? {
        guard let question = self.calls[id], question.node == node else { return nil }
        self.calls[id] = nil
        return question.reply
    }

    /// Nobody will answer.
    mutating func remove(_ id: UInt64) -> Reply? {
        self.calls.removeValue(forKey: id)?.reply
    }

    /// Those who have waited long enough.
    mutating func takeExpired(at now: Int64) -> [Reply] {
        guard !self.calls.isEmpty else { return [] }
        let over = self.calls.filter { $0.value.deadline <= now }
        for id in over.keys { self.calls[id] = nil }
        return over.values.map(\.reply)
    }

    /// Whether a question is to be answered; if so, `requestFinished` follows.
    mutating func acceptRequest(_ id: UInt64, from node: UInt64) -> Bool {
        guard self.requestsInProgress < Self.requestLimit,
            id > self.newestRequests[node, default: 0]
        else { return false }
        self.newestRequests[node] = id
        self.requestsInProgress += 1
        return true
    }

    mutating func requestFinished() {
        self.requestsInProgress -= 1
    }

    /// Nodes that are gone ask nothing any more.
    mutating func removeRequests(allBut nodes: Set<UInt64>) {
        if self.newestRequests.count > nodes.count {
            self.newestRequests = self.newestRequests.filter { nodes.contains($0.key) }
        }
    }
}
