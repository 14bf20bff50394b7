import Bytes
import ChatEngine
import ChatModel
import Cluster
import ClusterWire
import JSON
import Synchronization

@testable import NodeLink

/// The link of a node to the others of its `MemoryCluster`, without Redis.
final class MemoryLink: ClusterLink {
    private let node: UInt64
    private let membership: MemoryMembership

    init(_ node: UInt64, in membership: MemoryMembership) {
        self.node = node
        self.membership = membership
    }

    // MARK: Relay

    func send(_ envelopes: [Envelope], from loop: Int) {
        for envelope in envelopes {
            self.membership.receiver(of: envelope.to.incarnation)?.receive(envelope)
        }
    }

    func send(_ message: RemoteLoopMessage, to node: UInt64, from sender: LoopID) {
        self.membership.receiver(of: node)?.receive(message, from: sender.incarnation)
    }

    func viewMentioned(number: Int) {}
    func storePublishesWithWrite(of loop: Int) -> Bool { false }
    func publications(of envelopes: [Envelope], from loop: Int) -> [Publication] { [] }
    var clockOffset: Int64? { 0 }

    // MARK: Membership

    var joinState: NodeLink.JoinState {
        var state = NodeLink.JoinState()
        state.isJoined = self.membership.view?.node(self.node) != nil
        state.isDraining = self.membership.view?.node(self.node)?.isDraining ?? false
        state.outage = self.membership.redisSilence.map { _ in "Redis is silent" }
        return state
    }

    func waitUntilJoined(within limit: Duration) async -> Bool { self.joinState.isJoined }

    func requestDrain(within limit: Duration) async -> NodeLink.DrainDecision {
        guard self.membership.redisSilence == nil else { return .undecided }
        return self.membership.drain(self.node, isForced: false) ? .accepted : .refused
    }

    func drain() { _ = self.membership.drain(self.node, isForced: true) }
    /// The membership moves all shards at once.
    func waitUntilHandedOver(within limit: Duration) async {}
    func resume() { self.membership.resume(self.node) }
    func leave(within limit: Duration) async { self.membership.evict(self.node) }

    // MARK: Status

    func clusterStatus() async -> NodeLink.ClusterStatus {
        var status = NodeLink.ClusterStatus()
        status.localNode = self.node
        status.view = self.membership.view
        status.peers = self.membership.peers
        status.redisMode = "standalone"
        status.redisServers = ["redis:1"]
        status.redisSilence = self.membership.redisSilence
        status.durability = "in the memory of Redis"
        return status
    }

    var measurements: NodeLink.Measurements {
        var measurements = NodeLink.Measurements()
        measurements.localNode = self.node
        measurements.view = self.membership.view
        measurements.isRedisAvailable = self.membership.redisSilence == nil
        return measurements
    }

    var loopLinkStates: [String] { ["ready"] }

    // MARK: Questions

    func askAll(
        _ peers: [NodeLink.PeerNode], _ request: NodeRequest, isReading: Bool, isRedisSilent: Bool
    ) async -> [UInt64: NodeLink.NodeAnswer] {
        var answers: [UInt64: NodeLink.NodeAnswer] = [:]
        for peer in peers {
            // Requests and answers are texts, as between processes.
            guard isReading || !isRedisSilent,
                let answer = self.membership.handler(of: peer.incarnation),
                let read = NodeRequest(topic: request.topic, body: request.body)
            else {
                answers[peer.incarnation] = .init(
                    isDirect: isReading, failure: isReading ? .timeout(peer.name) : nil)
                continue
            }
            answers[peer.incarnation] = .init(text: await answer(read), isDirect: isRedisSilent)
        }
        return answers
    }

    func answerDirectly(
        _ body: [UInt8], topics: Set<String>, with answer: NodeLink.CallHandler
    ) async throws(NodeLink.DirectRefusal) -> [UInt8] {
        throw NodeLink.DirectRefusal("Nodes of one process have no admin listener.")
    }

    // MARK: Events

    func record(_ event: String, _ details: [NodeLink.Event.Detail]) {
        self.membership.record(event, of: self.node, details)
    }

    func events(in range: NodeLink.EventRange, limit: Int) async -> [NodeLink.Event]? {
        guard self.membership.redisSilence == nil else { return nil }
        let all = self.membership.events
        return switch range {
        case .after(let id):
            Array(all.filter { $0.order > NodeLink.Event.order(of: id) }.prefix(limit))
        case .before(let id?): all.filter { $0.order < NodeLink.Event.order(of: id) }.suffix(limit)
        case .before(nil): all.suffix(limit)
        }
    }

    // MARK: Redis

    func inspectRedis() async -> (info: String, microseconds: Int64)? {
        self.membership.redisSilence == nil ? ("role:master\r\nconnected_slaves:0\r\n", 500) : nil
    }

    func measureStreams() async -> Int? { 4096 }
    func examineRedis() async -> RedisExamination { RedisExamination() }
}

/// The facts that the nodes of a `MemoryCluster` share: the view, the events, and who answers.
final class MemoryMembership: Sendable {
    private struct ClusterMember {
        let record: NodeRecord
        weak var receiver: (any RelayReceiver)?
        let answer: NodeLink.CallHandler
        var isSilent = false
        var isEvicted = false
    }

    private struct State {
        var view: View?
        var members: [UInt64: ClusterMember] = [:]
        var events: [NodeLink.Event] = []
        var redisSilence: Int64?
    }

    private let state = Mutex(State())

    func join(
        _ record: NodeRecord, _ receiver: any RelayReceiver,
        answering answer: @escaping NodeLink.CallHandler
    ) {
        self.state.withLock {
            $0.members[record.incarnation] = ClusterMember(
                record: record, receiver: receiver, answer: answer)
            let node = View.Node(incarnation: record.incarnation, loops: record.loops)
            Self.follow($0.view?.adding(node) ?? View(number: 1, nodes: [node]), &$0)
        }
    }

    /// The nodes follow this view and all its successors, until every shard has its final owner.
    private static func follow(_ view: View?, _ state: inout State) {
        var next = view
        while let view = next {
            state.view = view
            for node in view.nodes { state.members[node.incarnation]?.receiver?.follow(view) }
            next = view.step(shards: 1024)
        }
    }

    /// - Returns: false if no other node accepts clients.
    func drain(_ node: UInt64, isForced: Bool) -> Bool {
        self.state.withLock { state in
            let others = state.view?.nodes.filter { $0.incarnation != node && !$0.isDraining }
            guard isForced || others?.isEmpty == false else { return false }
            Self.follow(state.view?.setting(draining: true, node), &state)
            return true
        }
    }

    func resume(_ node: UInt64) {
        self.state.withLock { Self.follow($0.view?.setting(draining: false, node), &$0) }
    }

    // MARK: Faults

    /// The node answers no other node, and its heartbeat is overdue.
    func silence(_ node: UInt64) { self.state.withLock { $0.members[node]?.isSilent = true } }

    func evict(_ node: UInt64) {
        self.state.withLock {
            $0.members[node]?.isEvicted = true
            Self.follow($0.view?.removing(node), &$0)
        }
    }

    /// Redis answers no node, for so many milliseconds already.
    func silenceRedis(for milliseconds: Int64?) {
        self.state.withLock { $0.redisSilence = milliseconds }
    }

    // MARK: Facts

    var view: View? { self.state.withLock { $0.view } }
    var redisSilence: Int64? { self.state.withLock { $0.redisSilence } }
    var events: [NodeLink.Event] { self.state.withLock { $0.events } }

    func receiver(of node: UInt64) -> (any RelayReceiver)? {
        self.state.withLock { $0.members[node]?.receiver }
    }

    /// Nil for a node that does not answer.
    func handler(of node: UInt64) -> NodeLink.CallHandler? {
        self.state.withLock { state in
            state.members[node].flatMap { $0.isSilent || $0.isEvicted ? nil : $0.answer }
        }
    }

    var peers: [NodeLink.PeerNode] {
        self.state.withLock { state in
            state.members.values.map { member in
                let node = state.view?.node(member.record.incarnation)
                return NodeLink.PeerNode(
                    incarnation: member.record.incarnation, record: member.record,
                    isDraining: node?.isDraining ?? false,
                    silentFor: member.isSilent && !member.isEvicted ? 1500 : nil,
                    evictedFor: member.isEvicted ? 14_000 : nil)
            }.sorted { ($0.name, $0.incarnation) < ($1.name, $1.incarnation) }
        }
    }

    func record(_ event: String, of node: UInt64, _ details: [NodeLink.Event.Detail]) {
        self.state.withLock { state in
            let common: [NodeLink.Event.Detail] = [
                .init("event", event), .init("name", state.members[node]?.record.name ?? ""),
                .init("view", String(state.view?.number ?? 0)),
            ]
            state.events.append(
                NodeLink.Event(
                    id: "\(WallClock.now.milliseconds)-\(state.events.count)",
                    details: common + details))
        }
    }
}
