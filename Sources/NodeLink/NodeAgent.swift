import Bytes
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
        var probes: [UInt64: UInt64] = [:]
        var lastTag: UInt64 = 1 << 32
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
        var replyContinuations: [UInt64: ReplyContinuation] = [:]
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
        static let heartbeat: UInt64 = 1
        static let propose: UInt64 = 2
        static let probe: UInt64 = 3
        static let settings: UInt64 = 4
        static let record: UInt64 = 5
    }

    let loop: EventLoop
    let joinState = Mutex(NodeLink.JoinState())
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
        let me = View.Node(incarnation: settings.record.incarnation, loops: settings.record.loops)
        self.state = LoopBound(
            State(
                membership: Membership(me), record: settings.record,
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
                    "taken for dead, goes on as another",
                    [
                        "incarnation": .text(ClusterRedisKeys.text(incarnation)),
                        "view": LogValue(view.number),
                    ])
                self.receiver.rejoin(as: incarnation, in: view)
            case .probe(let node):
                self.state.with { body in
                    body.lastTag += 1
                    body.probes[body.lastTag] = node
                    body.publisher?.probe(
                        from: body.membership.localNode.incarnation, to: node, tag: body.lastTag)
                }
            case .announceView:
                self.state.with { body in
                    let me = body.membership.localNode.incarnation
                    for node in body.membership.view?.nodes ?? [] where node.incarnation != me {
                        body.publisher?.probe(from: me, to: node.incarnation)
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
        let isNews = self.state.with { body in
            defer { body.loggedNodes = view.nodes }
            return body.loggedNodes != view.nodes
        }
        if isNews { self.logger.info("view", fields) } else { self.logger.debug("view", fields) }
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

    private func updateJoinState() {
        let standing = self.state.with { body in
            let membership = body.membership
            var standing = NodeLink.JoinState()
            standing.isJoined = membership.view?.node(membership.localNode.incarnation) != nil
            standing.hasHandedOver = membership.hasHandedOver
            if case .unavailable(let outage)? = body.client?.state {
                standing.outage = outage.description
            } else {
                standing.outage = body.recordsProblem ?? body.linkProblem
            }
            standing.isNameTaken = body.nameHolder != nil
            return standing
        }
        self.joinState.withLock { $0 = standing }
    }

    // MARK: Heartbeats and views

    private func sendHeartbeat() {
        self.state.with { body in
            guard let client = body.client else { return }
            let me = body.membership.localNode.incarnation
            body.record.incarnation = me
            let known = body.membership.storedView
            body.queriedNodes = (known?.nodes ?? []).map(\.incarnation).filter { $0 != me }
            do throws(RedisError) {
                try client.command(tag: Tag.heartbeat, slot: RedisSlot(key: self.redisKeys.view)) {
                    command in
                    command.append(LinkScripts.heartbeat, keyCount: 4 + body.queriedNodes.count)
                    command.append(text: self.redisKeys.view)
                    command.append(text: self.redisKeys.views)
                    command.append(text: self.redisKeys.node(me))
                    command.append(text: self.redisKeys.holder(of: body.record.name))
                    for node in body.queriedNodes {
                        command.append(text: self.redisKeys.node(node))
                    }
                    command.append(known?.number ?? 0)
                    command.append(text: body.knownHash)
                    command.append(text: body.record.text)
                    command.append(LinkScripts.recordMilliseconds)
                    command.append(
                        text: body.membership.mayHoldName(at: Self.now) ? self.process : "")
                    command.append(LinkScripts.nameMilliseconds)
                }
                if body.mailbox.incarnation == me {
                    body.publisher?.probe(from: me, to: me, tag: Tag.probe)
                }
            } catch {
                body.membership.heartbeatFailed(at: Self.now)
            }
        }
    }

    private func propose(_ proposal: Membership.Proposal) {
        self.state.with { body in
            guard let client = body.client else { return }
            let text = proposal.view?.text ?? ""
            body.proposedHash = Self.hash(text)
            do throws(RedisError) {
                try client.command(tag: Tag.propose, slot: RedisSlot(key: self.redisKeys.view)) {
                    command in
                    command.append(LinkScripts.propose, keyCount: 4)
                    command.append(text: self.redisKeys.view)
                    command.append(text: self.redisKeys.views)
                    command.append(text: self.redisKeys.events)
                    let isDeath = proposal.reason == .dies
                    command.append(
                        text: isDeath
                            ? self.redisKeys.node(proposal.incarnation)
                            : self.redisKeys.holder(of: body.record.name))
                    command.append(proposal.replacing)
                    command.append(proposal.number)
                    command.append(text: text)
                    command.append(text: body.proposedHash)
                    command.append(LinkScripts.viewLimit)
                    command.append(text: proposal.reason.rawValue)
                    command.append(text: ClusterRedisKeys.text(proposal.incarnation))
                    command.append(proposal.age ?? 0)
                    let isMine = proposal.incarnation == body.membership.localNode.incarnation
                    command.append(
                        text: isMine
                            ? body.record.name
                            : body.peerDirectory.name(of: proposal.incarnation) ?? "")
                    command.append(text: self.process)
                }
            } catch {
                _ = body.membership.proposalDecided(isAccepted: false, at: Self.now)
            }
        }
    }

    /// Distinguishes this process from others with its node name, in all its incarnations.
    private var process: String { ClusterRedisKeys.text(self.settings.record.incarnation) }

    private static func hash(_ text: String) -> String {
        String(StableHash.of(ByteString(text)), radix: 36)
    }

    func redisReplied(_ reply: RedisReply, to tag: UInt64) {
        let now = Self.now
        switch tag {
        case Tag.heartbeat:
            guard let pulse = self.heartbeatReply(reply) else {
                return self.state.with { $0.membership.heartbeatFailed(at: now) }
            }
            self.perform { $0.membership.receive(pulse, at: now) }
            self.fetchPeerRecords(at: now)
        case Tag.propose:
            let isKept = reply.integer == 1
            self.perform { body in
                if isKept {
                    body.knownHash = body.proposedHash
                    if let proposal = body.membership.proposal { self.log(proposal: proposal) }
                }
                return body.membership.proposalDecided(isAccepted: isKept, at: now)
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
            if let errand = self.state.with({ $0.replyContinuations.removeValue(forKey: tag) }) {
                return self.complete(errand, with: reply)
            }
            self.state.with { body in
                guard let node = body.probes.removeValue(forKey: tag) else { return }
                body.membership.mailbox(of: node, hasSubscriber: reply.integer ?? 0 > 0, at: now)
            }
        }
        self.subscribeToMailbox()
        self.updateJoinState()
    }

    func redisFailed(_ error: RedisError, tag: UInt64) {
        switch tag {
        case Tag.heartbeat:
            if error.isFromServer {
                self.recordProblem("records not kept", self.recordsReason(error))
            }
            self.state.with { $0.membership.heartbeatFailed(at: Self.now) }
        case Tag.propose:
            if error.isFromServer {
                self.recordProblem("records not kept", self.recordsReason(error))
            }
            self.perform { $0.membership.proposalDecided(isAccepted: false, at: Self.now) }
        case Tag.probe:
            guard error.isFromServer else { return }
            self.recordLinkProblem(error, self.publishCommand, at: \.publishProblem)
        default:
            if let errand = self.state.with({ $0.replyContinuations.removeValue(forKey: tag) }) {
                return self.complete(errand, with: nil)
            }
            _ = self.state.with { $0.probes.removeValue(forKey: tag) }
        }
    }

    private func recordsReason(_ error: RedisError) -> String {
        guard case .notPermitted = error else { return error.description }
        return
            "\(error) A node needs EVALSHA, and in its scripts the commands of the groups read and write, on the keys "
            + "\(self.redisKeys.cluster):*; docs/operating.md has the rule, and ACL LOG says what was refused."
    }

    private var isRedisCluster: Bool { self.settings.redis.url.kind == .cluster }
    private var publishCommand: String { self.isRedisCluster ? "SPUBLISH" : "PUBLISH" }
    var subscribeCommand: String { self.isRedisCluster ? "SSUBSCRIBE" : "SUBSCRIBE" }

    /// Records that Redis rejects a command that messages need. It is logged once, and is the
    /// reason why the node cannot join or is unhealthy.
    func recordLinkProblem(
        _ error: RedisError, _ command: String, at place: WritableKeyPath<State, String?>
    ) {
        let channel = self.redisKeys.mailbox(self.state.with { $0.mailbox.incarnation })
        var reason = "\(error)"
        if case .notPermitted = error {
            reason +=
                " A node needs \(command) on the channels \(self.redisKeys.cluster):* (refused: \(channel)); docs/operating.md has the rule."
        } else {
            reason += " (\(command) \(channel))"
        }
        let isNews = self.state.with { body in
            // The channel changes with every incarnation, but the problem is the same.
            defer { body[keyPath: place] = reason }
            return body[keyPath: place] == nil
        }
        if isNews { self.logger.error("mail is refused by redis", ["reason": .text(reason)]) }
        self.updateJoinState()
    }

    /// Logs a problem once, not twice a second.
    private func recordProblem(_ name: StaticString, _ reason: String) {
        let isNews = self.state.with { body in
            defer { body.recordsProblem = reason }
            return body.recordsProblem != reason
        }
        if isNews { self.logger.error(name, ["reason": .text(reason)]) }
        self.updateJoinState()
    }

    /// Nil if the stored view is unreadable; then this is logged, and nothing else happens.
    private func heartbeatReply(_ reply: RedisReply) -> Membership.HeartbeatReply? {
        guard let time = reply[0]?.integer, let number = reply[1]?.integer, let texts = reply[2],
            let beats = reply[3]
        else { return nil }
        var views: [View] = []
        var newest = ""
        do throws(PersistentTextError) {
            for text in texts.elements {
                newest = text.string
                views.append(try View(text: newest))
            }
        } catch {
            self.recordProblem("view unreadable", error.description)
            return nil
        }
        let holder = reply[4]?.string ?? ""
        self.recordNameHolder(holder == self.process || holder.isEmpty ? nil : holder)
        return self.state.with { body in
            body.recordsProblem = nil
            if !newest.isEmpty { body.knownHash = Self.hash(newest) }
            var ages: [UInt64: Int64] = [:]
            for (node, beat) in zip(body.queriedNodes, beats.elements) { ages[node] = beat.integer }
            return Membership.HeartbeatReply(
                time: time, number: Int(number), views: views, heartbeats: ages,
                holdsName: holder == self.process)
        }
    }

    /// Logs changes of the holder.
    private func recordNameHolder(_ holder: String?) {
        let (before, isIn) = self.state.with { body in
            defer { body.nameHolder = holder }
            return (
                body.nameHolder,
                body.membership.view?.node(body.membership.localNode.incarnation) != nil
            )
        }
        guard before != holder else { return }
        let fields: LogFields = [
            "name": .text(self.settings.record.name), "process": .text(holder ?? self.process),
        ]
        if holder == nil {
            self.logger.info("name is free", fields)
        } else if isIn {
            self.logger.warning("another node goes by the same name", fields)
        } else {
            self.logger.warning(
                "name is in use by a living node, waits until its lease ends", fields)
        }
    }

    func redisChanged(_ state: RedisClient.State) {
        let now = Self.now
        if case .unavailable(let outage) = state {
            self.logger.warning("redis is away", ["reason": .text(outage.description)])
        }
        if case .ready = state { self.logger.info("redis is there") }
        self.state.with { body in
            guard case .ready = state else { return body.membership.disconnected() }
            body.membership.connected(at: now)
            // A Redis user without this permission gets no reply.
            for master in body.client?.masterSlots ?? [] {
                try? body.client?.command(tag: Tag.settings, slot: master) { command in
                    command.append("CONFIG")
                    command.append("GET")
                    for setting in RedisConfigCheck.settings { command.append(setting) }
                }
            }
        }
        self.updateJoinState()
    }

    /// Each warning is logged once, because it applies after every reconnect.
    private func apply(_ advice: RedisConfigCheck) {
        let news = self.state.with { body in
            body.durability = advice.durability
            defer { body.loggedWarnings.formUnion(advice.warnings) }
            return advice.warnings.filter { !body.loggedWarnings.contains($0) }
        }
        for sentence in news { self.logger.warning("redis settings", ["reason": .text(sentence)]) }
    }
}
