import Bytes
public import ChatModel
public import Cluster
import ClusterWire
public import EventLoop
import RedisClient
import RedisStore
import Synchronization
public import Telemetry

/// A node's link to the others, over Redis: carries mail between loops, and keeps the node in the view.
///
/// The first loop reads the node's mailbox and beats; every loop publishes over its own connection.
public final class NodeLink: Relay {
    private let publishers: [LoopBound<PacketPublisher>]
    let agent: NodeAgent
    private let connections: [LoopConnection]

    /// Begins to join. The loops and their connections are the node's, in order; `receiver` is told what comes, and
    /// `answering` answers what other nodes ask.
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

    public func send(_ letter: RemoteLoopMessage, to node: UInt64, from sender: LoopID) {
        let memo = ControlMessage(
            .loopMessage, from: sender.incarnation, to: node, id: 0, topic: String(letter.loop),
            body: letter.text)
        if memo.isWithinLimits { self.publishers[Int(sender.loop)].with { _ = $0.send(memo) } }
    }

    public func viewMentioned(number: Int) {
        self.agent.change { $0.viewMentioned(number: number, at: NodeAgent.now) }
    }

    public func storePublishesWithWrite(of loop: Int) -> Bool {
        self.connections[loop].store.publishesWithWrites
    }

    public func publications(of news: [Envelope], from loop: Int) -> [Publication] {
        self.publishers[loop].with { $0.publications(of: news) }
    }

    /// What is known of the node's place.
    public struct JoinState: Sendable, Equatable {
        /// It is in the view that its loops go by.
        public var isJoined = false
        /// No shard is its own, or nobody is there who could take it.
        public var hasHandedOver = true
        /// Why there is no Redis, or what is wrong with what the cluster keeps there; nil where all is well.
        public var outage: String?

        /// Another living node goes by this node's name, which therefore may not join.
        public var isNameTaken = false

        /// Of a node that has only begun.
        public init() {}
    }

    public var joinState: JoinState { self.agent.joinState.withLock { $0 } }

    /// Hands the node's shards over, some at a time, to the others; or takes its share again.
    public func drain(_ isDraining: Bool) {
        self.agent.change { $0.setDraining(isDraining) }
    }

    /// Takes the node out of the view, so that the others need not find out.
    public func leave() {
        self.agent.change { $0.leave() }
    }
}
