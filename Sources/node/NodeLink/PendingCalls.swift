import ClusterWire

/// Why a call to another node failed.
public enum NodeCallError: Error, Sendable, Equatable {
    /// The reply did not arrive in time, or that node's mailbox has no subscriber.
    case noAnswer
    /// Too many calls are pending.
    case tooMany
    /// The request exceeds the size limit of a control message.
    case tooLong
}

/// A node's pending calls to other nodes, and the requests that it is answering.
///
/// Every call ends with its timeout, so a dead node never blocks a caller. Every request is
/// answered only once; otherwise a client of Redis could replay a recorded one.
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
    /// The id of each node's newest request.
    private var newestRequests: [UInt64: UInt64] = [:]
    private var requestsInProgress = 0

    /// - Returns: the call's id; nil if too many calls are pending.
    mutating func start(_ node: UInt64, at now: Int64, reply: @escaping Reply) -> UInt64? {
        guard self.calls.count < Self.callLimit else { return nil }
        self.lastID += 1
        self.calls[self.lastID] = PendingCall(
            node: node, deadline: now + Self.timeout, reply: reply)
        return self.lastID
    }

    /// The completion of a replied call; nil if it is not pending, or if another node was called.
    mutating func finish(_ id: UInt64, from node: UInt64) -> Reply? {
        guard let call = self.calls[id], call.node == node else { return nil }
        self.calls[id] = nil
        return call.reply
    }

    /// Removes a call that gets no reply.
    mutating func remove(_ id: UInt64) -> Reply? {
        self.calls.removeValue(forKey: id)?.reply
    }

    /// Removes the calls that have timed out.
    mutating func takeExpired(at now: Int64) -> [Reply] {
        guard !self.calls.isEmpty else { return [] }
        let expired = self.calls.filter { $0.value.deadline <= now }
        for id in expired.keys { self.calls[id] = nil }
        return expired.values.map(\.reply)
    }

    /// Whether to answer a request. If so, `requestFinished` must follow.
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

    /// Forgets the requests of removed nodes.
    mutating func removeRequests(allBut nodes: Set<UInt64>) {
        if self.newestRequests.count > nodes.count {
            self.newestRequests = self.newestRequests.filter { nodes.contains($0.key) }
        }
    }
}
