import Bytes
import ChatEngine
import Cluster
import ClusterWire
import EventLoop
import RedisClient
import Synchronization
import Telemetry

/// The part of a node's link that runs on the node's first loop: two connections to Redis, the
/// mailbox, and six jobs that each have a type of their own.
///
/// | job | type |
/// |---|---|
/// | membership: heartbeats, proposals of views | `ClusterMembershipShell` |
/// | requests between nodes | `NodeCalls`, `DirectCalls` without Redis |
/// | the cluster's events | `ClusterEventLog` |
/// | Redis' settings and memory | `RedisInspector` |
/// | problems, for the log and the node's health | `ProblemReporter` |
///
/// The agent receives events and passes them on. After each one, it publishes the join state.
final class NodeAgent: EventLoopHandler, RedisClientUser {
    private struct State {
        var client: RedisClient?
        var subscriber: RedisSubscriber?
        /// The keys of conversations in received packets.
        var knownKeys = KeyInterning()
    }

    let membership: ClusterMembershipShell
    let calls: NodeCalls
    let events: ClusterEventLog
    let inspector: RedisInspector
    let directCalls: DirectCalls
    private let problems: ProblemReporter

    let loop: EventLoop
    let joinState = Mutex(NodeLink.JoinState())
    let joinStateChange = TaskCondition()
    let measurements = Mutex(NodeLink.Measurements())
    let settings: NodeLinkSettings
    private let redisKeys: ClusterRedisKeys
    private let receiver: any RelayReceiver
    private let logger: Logger
    private let redis: AgentConnection
    private let mailbox: LoopBound<MailboxMonitor>
    private let activity: LoopBound<RedisActivity>
    private let evictionCheck: LoopBound<EvictionCheck>
    private let state: LoopBound<State>

    init(
        _ settings: NodeLinkSettings, redisKeys names: ClusterRedisKeys, on loop: EventLoop,
        receiver: any RelayReceiver, logger: Logger,
        callHandler answering: @escaping NodeLink.CallHandler
    ) {
        self.loop = loop
        self.settings = settings
        self.redisKeys = names
        self.receiver = receiver
        self.logger = logger
        self.redis = AgentConnection(on: loop)
        self.mailbox = LoopBound(MailboxMonitor(at: Self.now), on: loop)
        self.activity = LoopBound(RedisActivity(at: Self.now), on: loop)
        self.evictionCheck = LoopBound(EvictionCheck(), on: loop)
        self.directCalls = DirectCalls(on: loop)
        self.problems = ProblemReporter(
            on: loop, redisKeys: names, isRedisCluster: settings.redis.url.kind == .cluster,
            receiver: receiver, logger: logger)
        self.membership = ClusterMembershipShell(
            settings.record, on: loop, redis: self.redis, redisKeys: names, mailbox: self.mailbox,
            problems: self.problems, receiver: receiver, logger: logger)
        self.calls = NodeCalls(
            on: loop, redis: self.redis, membership: self.membership, handler: answering)
        self.events = ClusterEventLog(on: loop, redis: self.redis, redisKeys: names)
        self.inspector = RedisInspector(
            on: loop, redis: self.redis, redisKeys: names, logger: logger)
        self.state = LoopBound(State(), on: loop)
    }

    func start() {
        self.loop.execute {
            let seed = self.settings.record.incarnation
            let client = RedisClient(
                self.settings.redis, scripts: LinkScripts.all, on: self.loop, seed: seed, user: self
            )
            let subscriber = RedisSubscriber(
                self.settings.redis, on: self.loop, seed: seed &+ 1, user: self)
            self.state.with {
                $0.client = client
                $0.subscriber = subscriber
            }
            self.redis.open(
                client,
                publisher: PacketPublisher(
                    redisKeys: self.redisKeys, key: self.settings.key, client: client))
            self.loop.registerHandler(self)
            self.loop.registerHandler(self.directCalls)
            client.start()
            subscriber.start()
            self.tick(now: .now)
        }
    }

    /// From any thread.
    func change(_ change: @escaping @Sendable (inout ClusterMembership) -> Void) {
        self.loop.execute {
            self.membership.change(change)
            self.tick(now: .now)
        }
    }

    /// The slot of the cluster's own keys.
    var clusterSlot: RedisSlot { RedisSlot(key: self.redisKeys.view) }

    /// The commands to try for `confab doctor`.
    var trials: [RedisTrial] {
        RedisTrial.all(
            cluster: self.redisKeys.cluster,
            node: ClusterRedisKeys.text(self.settings.record.incarnation),
            isRedisCluster: self.settings.redis.url.kind == .cluster)
    }

    static var now: Int64 { MonotonicTime.now.nanoseconds / 1_000_000 }

    // MARK: Loop

    func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {}

    func tick(now: MonotonicTime) {
        let now = now.nanoseconds / 1_000_000
        self.activity.with { $0.ticked(at: now) }
        self.membership.tick(at: now)
        self.checkMailbox(at: now)
        self.checkEviction(at: now)
        self.calls.expireCalls(at: now)
        self.events.expireQueries(at: now)
        self.inspector.expireQueries(at: now)
        self.subscribeToMailbox()
        self.updateJoinState()
    }

    func loopStopping() { self.redis.close() }

    /// While Redis is silent, asks other nodes whether they have evicted this one.
    private func checkEviction(at now: Int64) {
        let silence = self.activity.with { $0.silence(at: now) }
        let peers: [NodeLink.PeerNode] =
            silence == nil
            ? []
            : self.membership.state.with { state in
                state.peerDirectory.peers(in: state.membership.view, suspects: [:], at: now)
                    .filter {
                        $0.evictedFor == nil
                            && $0.incarnation != state.membership.localNode.incarnation
                    }
            }
        let index = self.changeEvictionCheck {
            $0.tick(at: now, silence: silence, peerCount: peers.count)
        }
        guard let index else { return }
        self.callDirectly(peers[index], EvictionCheck.request) { result in
            guard case .success(let text) = result else { return }
            let silence = self.activity.with { $0.silence(at: Self.now) }
            self.changeEvictionCheck { $0.answered(text, silence: silence) }
        }
    }

    @discardableResult
    private func changeEvictionCheck<R>(_ change: (inout EvictionCheck) -> R) -> R {
        let (result, before, after) = self.evictionCheck.with { check in
            let before = check.isEvicted
            let result = change(&check)
            return (result, before, check.isEvicted)
        }
        if before != after {
            if after { self.logger.warning("eviction noticed without redis") }
            self.receiver.evictionChanged(isEvicted: after)
        }
        return result
    }

    private func updateJoinState() {
        var joinState = self.membership.state.with { state in
            var joinState = NodeLink.JoinState()
            joinState.isJoined = state.membership.isJoined
            joinState.isDraining = state.membership.isDrainRequested
            joinState.isDrainStored = state.membership.isDrainStored
            joinState.isDrainRefused = state.membership.isDrainRefused
            joinState.hasHandedOver = state.membership.hasHandedOver
            joinState.isNameTaken = state.nameHolder != nil
            return joinState
        }
        joinState.outage = self.redis.outage?.description ?? self.problems.reason
        let isChanged = self.joinState.withLock { [joinState] current in
            defer { current = joinState }
            return current != joinState
        }
        if isChanged { self.joinStateChange.notify() }
        self.updateMeasurements()
    }

    private func updateMeasurements() {
        var measurements = NodeLink.Measurements()
        (measurements.localNode, measurements.view) = self.membership.state.with {
            ($0.membership.localNode.incarnation, $0.membership.view)
        }
        measurements.isRedisAvailable = self.redis.isReady
        self.mailbox.with {
            measurements.mailboxResubscriptions = $0.resubscriptions
            measurements.probeReturnedAt = $0.probeReturnedAt
        }
        self.measurements.withLock { [measurements] in $0 = measurements }
    }

    // MARK: Redis

    func redisReplied(_ reply: RedisReply, to tag: CommandTag) {
        self.noteReply()
        self.redis.complete(tag, with: .success(reply))
        self.subscribeToMailbox()
        self.updateJoinState()
    }

    func redisFailed(_ error: RedisError, tag: CommandTag) {
        if error.isFromServer { self.noteReply() }
        self.redis.complete(tag, with: .failure(error))
        self.updateJoinState()
    }

    /// Redis has replied. All nodes notice the end of an interruption; the first one records it.
    private func noteReply() {
        let servers = self.redis.endpoints.map(\.description).sorted()
        let now = Self.now
        guard let end = self.activity.with({ $0.replied(from: servers, at: now) }) else { return }
        let (name, detail) = end.event
        self.events.appendOnce(
            self.details(of: name) + [.init("detail", detail)], milliseconds: end.milliseconds)
    }

    func redisChanged(_ connection: RedisClient.State) {
        if case .unavailable(let outage) = connection {
            self.logger.warning("redis unavailable", ["reason": .text(outage.description)])
            if let cause = outage.cause { self.activity.with { $0.failed(cause) } }
        }
        let isReady = if case .ready = connection { true } else { false }
        if isReady { self.logger.info("redis connected") }
        self.membership.redisChanged(isReady: isReady, at: Self.now)
        if isReady { self.inspector.checkSettings() }
        self.updateJoinState()
    }

    // MARK: Status

    /// From any thread; the reply arrives on the loop.
    func clusterStatus(_ reply: @escaping @Sendable (NodeLink.ClusterStatus) -> Void) {
        self.loop.execute {
            let now = Self.now
            var status = NodeLink.ClusterStatus()
            self.membership.state.with { state in
                status.localNode = state.membership.localNode.incarnation
                status.view = state.membership.view
                status.peers = state.peerDirectory.peers(
                    in: state.membership.view, suspects: state.membership.suspects, at: now)
            }
            status.redisSilence = self.activity.with { $0.silence(at: now) }
            status.redisOutage = self.redis.outage?.cause
            self.mailbox.with {
                status.lastDeliveryAge = $0.age(at: now)
                status.mailboxResubscriptions = $0.resubscriptions
            }
            status.durability = self.inspector.durability
            status.redisMode = self.settings.redis.url.kind.name
            status.redisServers = self.redis.endpoints.map(\.description).sorted()
            status.redisURL = self.settings.redis.url.description
            status.hasRedisPassword = self.settings.redis.url.password != nil
            reply(status)
        }
    }

    /// Records an event of this node. From any thread.
    func record(_ event: String, _ details: [NodeLink.Event.Detail]) {
        self.loop.execute { self.events.append(self.details(of: event) + details) }
    }

    /// The details that every event of this node has.
    private func details(of event: String) -> [NodeLink.Event.Detail] {
        self.membership.state.with { state in
            [
                .init("event", event),
                .init("node", ClusterRedisKeys.text(state.membership.localNode.incarnation)),
                .init("name", state.record.name),
                .init("view", String(state.membership.view?.number ?? 0)),
            ]
        }
    }
}

/// The node's mailbox: its subscription, its messages and its health.
extension NodeAgent: RedisSubscriberUser {
    private func subscribeToMailbox() {
        guard let subscriber = self.state.with({ $0.subscriber }) else { return }
        let incarnation = self.membership.incarnation
        guard let move = self.mailbox.with({ $0.move(to: incarnation, at: Self.now) }) else {
            return
        }
        if let old = move.old { subscriber.unsubscribe(from: self.redisKeys.mailbox(old)) }
        subscriber.subscribe(to: self.redisKeys.mailbox(move.new))
    }

    func redisSubscribed(to channel: UnsafeRawBufferPointer) {
        self.problems.accepted(.subscribe)
        // Messages that were published without a subscription are lost; their repair starts at
        // once.
        if self.mailbox.with({ $0.subscribed(at: Self.now) }) {
            self.receiver.messagesMayBeLost()
        }
    }

    func redisPublished(_ payload: UnsafeRawBufferPointer, in channel: UnsafeRawBufferPointer) {
        let incarnation = self.membership.incarnation
        do throws(NodePacketError) {
            guard !ControlMessage.isControlMessage(payload.bytes) else {
                return self.receive(
                    try ControlMessage(payload.bytes, for: incarnation, key: self.settings.key))
            }
            let packet = try self.state.with { state throws(NodePacketError) in
                try NodePacket(
                    payload.bytes, for: incarnation, key: self.settings.key,
                    interning: &state.knownKeys)
            }
            for envelope in packet.envelopes { self.receiver.receive(envelope) }
            if packet.from == incarnation {
                self.mailbox.with { $0.probeReturned(at: Self.now) }
                self.membership.probeReturned(at: Self.now)
            } else if packet.envelopes.isEmpty {
                self.membership.viewAnnounced(at: Self.now)
            }
        } catch {
            self.logger.warning("packet rejected", ["reason": .text(error.description)])
        }
    }

    private func receive(_ message: ControlMessage) {
        switch message.kind {
        case .loopMessage:
            // As for requests, a message from a node outside the view is dropped.
            guard let loop = UInt16(message.topic), self.membership.isMember(message.from) else {
                return
            }
            self.receiver.receive(RemoteLoopMessage(to: loop, message.body), from: message.from)
        case .reply: self.calls.replied(message)
        case .request: self.calls.requested(message)
        }
    }

    func redisSubscriberChanged(_ state: RedisClient.State) {
        guard case .unavailable(.refused(let error)) = state else { return }
        self.problems.rejected(
            .subscribe, error, mailboxOf: self.mailbox.with { $0.incarnation })
        self.updateJoinState()
    }

    /// A node whose probes do not return receives no messages. It subscribes again, and reports a
    /// problem until they return.
    private func checkMailbox(at now: Int64) {
        if let subscriber = self.state.with({ $0.subscriber }), case .ready = subscriber.state,
            self.redis.isReady, self.mailbox.with({ $0.mustResubscribe(at: now) })
        {
            subscriber.reconnect()
        }
        let (change, isHealthy) = self.mailbox.with { ($0.healthChange(at: now), $0.isHealthy) }
        self.problems.mailboxChecked(isHealthy: isHealthy, change: change)
        if change == true, let rebuild = self.mailbox.with({ $0.takeRebuild() }) {
            self.events.append(
                self.details(of: "rebuild") + [
                    .init("detail", "Redis Pub/Sub delivered nothing for \(rebuild) ms")
                ])
        }
        if let age = self.mailbox.with({ $0.takeReplacement() }) {
            self.events.append(
                self.details(of: "rebuild") + [
                    .init(
                        "detail",
                        "the connection to Redis Pub/Sub was lost and replaced within \(age) ms")
                ])
        }
    }
}
