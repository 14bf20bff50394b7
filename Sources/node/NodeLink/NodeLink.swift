import Bytes
public import ChatEngine
public import ChatModel
import Cluster
import ClusterWire
public import EventLoop
import RedisClient
import RedisStore
import Synchronization
public import Telemetry

/// A node's link to the other nodes over Redis. It carries envelopes between loops and keeps the
/// node in the view.
///
/// The first loop receives messages and sends heartbeats; every loop publishes over its own
/// connection.
public final class NodeLink: ClusterLink {
    private let publishers: [LoopBound<PacketPublisher>]
    let agent: NodeAgent
    private let connections: [LoopConnection]

    /// Starts to join. `loops` and `connections` are the node's, in order. `receiver` receives
    /// messages and views, and `callHandler` answers the requests of other nodes.
    public init(
        _ settings: NodeLinkSettings, loops: [EventLoop], connections: [LoopConnection],
        receiver: any RelayReceiver, logger: Logger,
        callHandler answering: @escaping CallHandler
    ) {
        let names = ClusterRedisKeys(cluster: settings.clusterName)
        self.connections = connections
        self.publishers = zip(loops, connections).map { loop, connection in
            LoopBound(
                PacketPublisher(redisKeys: names, key: settings.key, client: connection.client),
                on: loop)
        }
        self.agent = NodeAgent(
            settings, redisKeys: names, on: loops[0], receiver: receiver, logger: logger,
            callHandler: answering)
        for (number, connection) in connections.enumerated() {
            connection.store.onReconnect { receiver.storeMayHaveLostData(on: number) }
        }
        self.agent.start()
    }

    public func send(_ envelopes: [Envelope], from loop: Int) {
        self.publishers[loop].with { $0.send(envelopes) }
    }

    public func send(_ message: RemoteLoopMessage, to node: UInt64, from sender: LoopID) {
        let controlMessage = ControlMessage(
            .loopMessage, from: sender.incarnation, to: node, id: 0, topic: String(message.loop),
            body: message.text)
        if controlMessage.isWithinLimits {
            self.publishers[Int(sender.loop)].with { _ = $0.send(controlMessage) }
        }
    }

    public func viewMentioned(number: Int) {
        self.agent.change { $0.viewMentioned(number: number, at: NodeAgent.now) }
    }

    public var clockOffset: Int64? {
        self.agent.membership.publishedClockOffset.withLock { $0 }
    }

    public func storePublishesWithWrite(of loop: Int) -> Bool {
        self.connections[loop].store.publishesWithWrites
    }

    public func publications(of envelopes: [Envelope], from loop: Int) -> [Publication] {
        self.publishers[loop].with { $0.publications(of: envelopes) }
    }

    /// How far the node has joined or left the cluster.
    public struct JoinState: Sendable, Equatable {
        /// It is in the view that its loops follow.
        public var isJoined = false
        /// It gives its shards to other nodes.
        public var isDraining = false
        /// The cluster's view has it as draining.
        public var isDrainStored = false
        /// The last drain was refused, because no other node accepts clients.
        public var isDrainRefused = false
        /// It owns no shard, or no other node can take one.
        public var hasHandedOver = true
        /// Why Redis is unavailable, or what is wrong with the cluster's state there; nil if there
        /// is no problem.
        public var outage: String?

        /// Another living node uses this node's name, so this node may not join.
        public var isNameTaken = false

        /// The state of a node that has just started.
        public init() {}
    }

    public var joinState: JoinState { self.agent.joinState.withLock { $0 } }

    public var loopLinkStates: [String] { self.connections.map(\.stateText) }

    public func waitUntilJoined(within limit: Duration) async -> Bool {
        await self.wait(within: limit) { $0.isJoined }
    }

    /// The decision about a drain.
    public enum DrainDecision: Sendable { case accepted, refused, undecided }

    public func requestDrain(within limit: Duration) async -> DrainDecision {
        self.agent.change { $0.setDraining(true, isForced: false) }
        await self.wait(within: limit) { $0.isDrainStored || $0.isDrainRefused }
        let state = self.joinState
        if state.isDrainStored { return .accepted }
        self.agent.change { $0.setDraining(false) }
        return state.isDrainRefused ? .refused : .undecided
    }

    public func drain() { self.agent.change { $0.setDraining(true) } }

    public func waitUntilHandedOver(within limit: Duration) async {
        await self.wait(within: limit) { $0.isDraining && $0.hasHandedOver }
    }

    public func resume() { self.agent.change { $0.setDraining(false) } }

    public func leave(within limit: Duration) async {
        self.agent.change { $0.leave() }
        await self.wait(within: limit) { !$0.isJoined }
    }

    @discardableResult
    private func wait(
        within limit: Duration, until isDone: @escaping @Sendable (JoinState) -> Bool
    ) async -> Bool {
        await self.agent.joinStateChange.wait(within: limit) { isDone(self.joinState) }
    }
}
