public import ChatEngine
public import ClusterWire

/// A node's link to the other nodes of its cluster: it carries envelopes, keeps the node in the
/// view, and asks other nodes for operators. `NodeLink` implements it over Redis; tests join nodes
/// in one process.
public protocol ClusterLink: Relay {
    // MARK: Membership

    var joinState: NodeLink.JoinState { get }

    /// Waits until the node is a member, but not longer than `limit`.
    ///
    /// - Returns: whether it is a member.
    func waitUntilJoined(within limit: Duration) async -> Bool

    /// Asks the cluster's view whether this node may drain: only if another node accepts clients.
    ///
    /// - Returns: `undecided` if there was no decision within the time limit. Then nothing changes.
    func requestDrain(within limit: Duration) async -> NodeLink.DrainDecision

    /// Begins to hand the node's shards over to other nodes, step by step.
    func drain()

    /// Waits until the node has handed its shards over, but not longer than `limit`.
    func waitUntilHandedOver(within limit: Duration) async

    /// Takes the node's share of the shards back.
    func resume()

    /// Removes the node from the view, so that the others need not detect its departure. Waits
    /// until that is done, but not longer than `limit`.
    func leave(within limit: Duration) async

    // MARK: Status

    func clusterStatus() async -> NodeLink.ClusterStatus

    /// The link's state for metrics, which is available while the first loop is stuck.
    var measurements: NodeLink.Measurements { get }

    /// The state of each loop's connection to Redis, in order: `connecting`, `ready`, `closed`, or
    /// why Redis is unavailable.
    var loopLinkStates: [String] { get }

    // MARK: Questions to other nodes

    /// Asks several nodes in parallel, and waits two seconds at most.
    ///
    /// - Parameters:
    ///   - isReading: whether the request changes nothing. Only such a request may be asked
    ///     directly, because a recorded one can be replayed.
    ///   - isRedisSilent: whether messages through Redis are useless.
    func askAll(
        _ peers: [NodeLink.PeerNode], _ request: NodeRequest, isReading: Bool, isRedisSilent: Bool
    ) async -> [UInt64: NodeLink.NodeAnswer]

    /// Answers a question that another node of the view asked at this node's admin address.
    ///
    /// - Parameters:
    ///   - body: a sealed `ControlMessage`.
    ///   - topics: the requests that only read.
    /// - Returns: the sealed answer.
    func answerDirectly(
        _ body: [UInt8], topics: Set<String>, with answer: NodeLink.CallHandler
    ) async throws(NodeLink.DirectRefusal) -> [UInt8]

    // MARK: Events

    /// Records an event of this node or an operator's order. A failure is ignored, because the log
    /// contains the order too.
    func record(_ event: String, _ details: [NodeLink.Event.Detail])

    /// The events, oldest first. Nil if Redis does not reply.
    func events(in range: NodeLink.EventRange, limit: Int) async -> [NodeLink.Event]?

    // MARK: Redis

    /// The `INFO` of this node's Redis, and the microseconds until its reply. Nil if Redis does not
    /// reply.
    func inspectRedis() async -> (info: String, microseconds: Int64)?

    /// The bytes of all conversations' streams in Redis; estimated if there are many. Nil if Redis
    /// does not reply.
    func measureStreams() async -> Int?

    /// The facts about Redis that `confab doctor` checks.
    func examineRedis() async -> RedisExamination
}

extension ClusterLink {
    /// Hands the node's shards over to other nodes. Waits until that is done, but not longer than
    /// `limit`.
    public func handOver(within limit: Duration) async {
        self.drain()
        await self.waitUntilHandedOver(within: limit)
    }
}
