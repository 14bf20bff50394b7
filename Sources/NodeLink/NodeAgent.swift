import Bytes
import ChatEngine
import Cluster
import ClusterWire
import EventLoop
import RedisClient
import Synchronization
import Telemetry

/// Executes the decisions of `Membership`: heartbeats, proposals of views, the mailbox. It runs on
/// the node's first loop.
///
/// It has its own connection, so that heartbeats do not wait behind messages.
final class NodeAgent: EventLoopHandler, RedisClientUser {
    struct State {
        var membership: Membership
        var record: NodeRecord
        var client: RedisClient?
        var subscriber: RedisSubscriber?
        var publisher: PacketPublisher?
        /// The hash of the known view, as stored in Redis.
        var knownHash = ""
        var proposedHash = ""
        var mailbox: MailboxMonitor
        /// The keys of conversations in received packets.
        var knownKeys = KeyInterning()
        /// The nodes whose heartbeat times the pending heartbeat reply contains, in order.
        var queriedNodes: [UInt64] = []
        var probes: [CommandTag: UInt64] = [:]
        var lastTag = CommandTag(rawValue: 1 << 32)
        /// Why the cluster's state in Redis cannot be read or written.
        var recordsProblem: String?
        /// Why messages cannot be received or sent: Redis rejects the subscription or the publish.
        var subscribeProblem: String?
        var publishProblem: String?
        var linkProblem: String? { self.subscribeProblem ?? self.publishProblem }
        /// The last reported problem of the link.
        var reportedLinkProblem: String?
        /// The other process that holds this node's name.
        var nameHolder: String?
        var loggedNodes: [View.Node] = []
        /// Where Redis keeps acknowledged writes, as a phrase; nil if Redis does not say.
        var durability: String?
        /// The warnings about Redis' settings that were logged.
        var loggedWarnings: Set<String> = []
        var peerDirectory = PeerDirectory()
        var pendingCalls = PendingCalls()
        /// Pending queries to Redis, by command tag.
        var replyContinuations: [CommandTag: ReplyContinuation] = [:]
    }

    enum ReplyContinuation {
        /// A node's record.
        case nodeRecord(UInt64)
        /// Whether a call reached a subscriber.
        case call(UInt64)
        /// Redis' `INFO`.
        case redisInfo(UInt64)
        /// The cluster's events.
        case events(UInt64, @Sendable ([NodeLink.Event]?) -> Void)
        case streamSizes(StreamSizeEstimate)
    }

    enum Tag {
        static let heartbeat: CommandTag = 1
        static let propose: CommandTag = 2
        static let probe: CommandTag = 3
        static let settings: CommandTag = 4
        static let record: CommandTag = 5
    }

    let loop: EventLoop
    let joinState = Mutex(NodeLink.JoinState())
    let joinStateChange = TaskCondition()
    let settings: NodeLinkSettings
    let redisKeys: ClusterRedisKeys
    let receiver: any RelayReceiver
    let logger: Logger
    let callHandler: NodeLink.CallHandler
    let state: LoopBound<State>

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
        self.callHandler = answering
        let localNode = View.Node(
            incarnation: settings.record.incarnation, loops: settings.record.loops)
        self.state = LoopBound(
            State(
                membership: Membership(localNode), record: settings.record,
                mailbox: MailboxMonitor(at: Self.now)), on: loop)
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
                $0.publisher = PacketPublisher(
                    redisKeys: self.redisKeys, key: self.settings.key, client: client)
            }
            self.loop.registerHandler(self)
            client.start()
            subscriber.start()
            self.tick(now: .now)
        }
    }

    /// From any thread.
    func change(_ change: @escaping @Sendable (inout Membership) -> Void) {
        self.loop.execute {
            self.state.with { change(&$0.membership) }
            self.tick(now: .now)
        }
    }

    static var now: Int64 { MonotonicTime.now.nanoseconds / 1_000_000 }

    // MARK: Loop

    func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {}

    func tick(now: MonotonicTime) {
        let now = now.nanoseconds / 1_000_000
        self.perform { $0.membership.tick(at: now) }
        self.checkMailbox(at: now)
        self.expireCalls(at: now)
        self.subscribeToMailbox()
        self.updateJoinState()
    }

    /// Executes the directives that `decide` returns.
    func perform(_ decide: (inout State) -> [Membership.Directive]) {
        for directive in self.state.with(decide) {
            switch directive {
            case .sendHeartbeat: self.sendHeartbeat()
            case .propose(let proposal): self.propose(proposal)
            case .follow(let view):
                self.log(view: view)
                self.receiver.follow(view)
            case .rejoin(let incarnation, let view):
                self.logger.warning(
                    "node rejoined after eviction",
                    [
                        "incarnation": .text(ClusterRedisKeys.text(incarnation)),
                        "view": LogValue(view.number),
                    ])
                self.receiver.rejoin(as: incarnation, in: view)
            case .probe(let node):
                self.state.with { state in
                    state.lastTag.advance()
                    state.probes[state.lastTag] = node
                    state.publisher?.probe(
                        from: state.membership.localNode.incarnation, to: node, tag: state.lastTag)
                }
            case .announceView:
                self.state.with { state in
                    let ownIncarnation = state.membership.localNode.incarnation
                    for node in state.membership.view?.nodes ?? []
                    where node.incarnation != ownIncarnation {
                        state.publisher?.probe(from: ownIncarnation, to: node.incarnation)
                    }
                }
            }
        }
    }

    /// Joining and leaving nodes are logged at a higher level than moved shards.
    private func log(view: View) {
        let fields: LogFields = [
            "number": LogValue(view.number), "nodes": LogValue(view.nodes.count),
        ]
        let isNew = self.state.with { state in
            defer { state.loggedNodes = view.nodes }
            return state.loggedNodes != view.nodes
        }
        if isNew {
            self.logger.info("view followed", fields)
        } else {
            self.logger.debug("view followed", fields)
        }
    }

    private func log(proposal: Membership.Proposal) {
        let fields: LogFields = [
            "reason": .text(proposal.reason.rawValue),
            "node": .text(ClusterRedisKeys.text(proposal.incarnation)),
            "number": LogValue(proposal.number),
        ]
        if proposal.reason == .moves {
            self.logger.debug("view changed", fields)
        } else {
            self.logger.info("view changed", fields)
        }
    }

    func updateJoinState() {
        let joinState = self.state.with { state in
            let membership = state.membership
            var joinState = NodeLink.JoinState()
            joinState.isJoined = membership.view?.node(membership.localNode.incarnation) != nil
            joinState.isDraining = membership.isDrainRequested
            joinState.hasHandedOver = membership.hasHandedOver
            if case .unavailable(let outage)? = state.client?.state {
                joinState.outage = outage.description
            } else {
                joinState.outage = state.recordsProblem ?? state.linkProblem
            }
            joinState.isNameTaken = state.nameHolder != nil
            return joinState
        }
        let isChanged = self.joinState.withLock { current in
            defer { current = joinState }
            return current != joinState
        }
        if isChanged { self.joinStateChange.notify() }
    }

    // MARK: Redis

    func redisReplied(_ reply: RedisReply, to tag: CommandTag) {
        let now = Self.now
        switch tag {
        case Tag.heartbeat:
            guard let heartbeatReply = self.heartbeatReply(reply) else {
                return self.state.with { $0.membership.heartbeatFailed(at: now) }
            }
            self.perform { $0.membership.receive(heartbeatReply, at: now) }
            self.fetchPeerRecords(at: now)
        case Tag.propose:
            let isAccepted = reply.integer == 1
            self.perform { state in
                if isAccepted {
                    state.knownHash = state.proposedHash
                    if let proposal = state.membership.proposal { self.log(proposal: proposal) }
                }
                return state.membership.proposalDecided(isAccepted: isAccepted, at: now)
            }
            // Without delay: until this is known, a crashed node is not shown as missing.
            self.fetchPeerRecords(at: now)
        case Tag.probe:
            self.state.with {
                $0.mailbox.probeAccepted(at: now)
                $0.publishProblem = nil
            }
        case Tag.settings: self.apply(RedisConfigCheck(reply))
        default:
            if let continuation = self.state.with({ $0.replyContinuations.removeValue(forKey: tag) }
            ) {
                return self.complete(continuation, with: reply)
            }
            self.state.with { state in
                guard let node = state.probes.removeValue(forKey: tag) else { return }
                state.membership.mailbox(of: node, hasSubscriber: reply.integer ?? 0 > 0, at: now)
            }
        }
        self.subscribeToMailbox()
        self.updateJoinState()
    }

    func redisFailed(_ error: RedisError, tag: CommandTag) {
        switch tag {
        case Tag.heartbeat:
            if error.isFromServer {
                self.recordProblem("cluster state not stored", self.recordsReason(error))
            }
            self.state.with { $0.membership.heartbeatFailed(at: Self.now) }
        case Tag.propose:
            if error.isFromServer {
                self.recordProblem("cluster state not stored", self.recordsReason(error))
            }
            self.perform { $0.membership.proposalDecided(isAccepted: false, at: Self.now) }
        case Tag.probe:
            guard error.isFromServer else { return }
            self.recordLinkProblem(error, self.publishCommand, at: \.publishProblem)
        default:
            if let continuation = self.state.with({ $0.replyContinuations.removeValue(forKey: tag) }
            ) {
                return self.complete(continuation, with: nil)
            }
            _ = self.state.with { $0.probes.removeValue(forKey: tag) }
        }
    }

    func redisChanged(_ connection: RedisClient.State) {
        let now = Self.now
        if case .unavailable(let outage) = connection {
            self.logger.warning("redis unavailable", ["reason": .text(outage.description)])
        }
        if case .ready = connection { self.logger.info("redis connected") }
        self.state.with { state in
            guard case .ready = connection else { return state.membership.disconnected() }
            state.membership.connected(at: now)
            // A Redis user without this permission gets no reply.
            for master in state.client?.masterSlots ?? [] {
                try? state.client?.command(tag: Tag.settings, slot: master) { command in
                    command.append("CONFIG")
                    command.append("GET")
                    for setting in RedisConfigCheck.settings { command.append(setting) }
                }
            }
        }
        self.updateJoinState()
    }

    /// Each warning is logged once, because it applies after every reconnect.
    private func apply(_ check: RedisConfigCheck) {
        let newWarnings = self.state.with { state in
            state.durability = check.durability
            defer { state.loggedWarnings.formUnion(check.warnings) }
            return check.warnings.filter { !state.loggedWarnings.contains($0) }
        }
        for warning in newWarnings {
            self.logger.warning("redis setting unsafe", ["reason": .text(warning)])
        }
    }
}
