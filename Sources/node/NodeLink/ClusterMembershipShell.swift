import Bytes
import ChatEngine
import Cluster
import ClusterWire
import EventLoop
import RedisClient
import Synchronization
import Telemetry

/// Executes the decisions of `ClusterMembership`: heartbeats, proposals of views, probes. It runs
/// on the node's first loop.
final class ClusterMembershipShell: Sendable {
    struct State {
        var membership: ClusterMembership
        var record: NodeRecord
        var heartbeats: HeartbeatExchange
        /// The other process that holds this node's name.
        var nameHolder: String?
        var loggedNodes: [View.Node] = []
        var peerDirectory = PeerDirectory()
        /// When the last heartbeat was sent, in microseconds of the wall clock.
        var heartbeatSentAt: Int64 = 0
        var clockOffset = ClockOffset()
    }

    let redis: AgentConnection
    let redisKeys: ClusterRedisKeys
    let mailbox: LoopBound<MailboxMonitor>
    let problems: ProblemReporter
    private let receiver: any RelayReceiver
    let logger: Logger
    let state: LoopBound<State>
    /// The clock offset in microseconds, for other threads.
    let publishedClockOffset = Mutex<Int64?>(nil)

    init(
        _ record: NodeRecord, on loop: EventLoop, redis: AgentConnection,
        redisKeys: ClusterRedisKeys, mailbox: LoopBound<MailboxMonitor>,
        problems: ProblemReporter, receiver: any RelayReceiver, logger: Logger
    ) {
        self.redis = redis
        self.redisKeys = redisKeys
        self.mailbox = mailbox
        self.problems = problems
        self.receiver = receiver
        self.logger = logger
        let localNode = View.Node(incarnation: record.incarnation, loops: record.loops)
        self.state = LoopBound(
            State(
                membership: ClusterMembership(localNode), record: record,
                heartbeats: HeartbeatExchange(
                    redisKeys: redisKeys, process: ClusterRedisKeys.text(record.incarnation))),
            on: loop)
    }

    /// This node's incarnation, which changes after an eviction.
    var incarnation: UInt64 { self.state.with { $0.membership.localNode.incarnation } }

    /// The nodes in the newest view.
    var members: Set<UInt64> {
        self.state.with { Set($0.membership.storedView?.nodes.map(\.incarnation) ?? []) }
    }

    func isMember(_ node: UInt64) -> Bool {
        self.state.with { $0.membership.storedView?.node(node) != nil }
    }

    // MARK: Events

    func tick(at now: Int64) {
        self.perform { $0.tick(at: now) }
    }

    func change(_ change: (inout ClusterMembership) -> Void) {
        self.state.with { change(&$0.membership) }
    }

    func redisChanged(isReady: Bool, at now: Int64) {
        self.state.with {
            if isReady { $0.membership.connected(at: now) } else { $0.membership.disconnected() }
        }
    }

    /// This node's own probe has returned through its mailbox.
    func probeReturned(at now: Int64) {
        self.state.with { $0.membership.probeReturned(at: now) }
    }

    /// Another node says that there is a new view.
    func viewAnnounced(at now: Int64) {
        self.state.with { $0.membership.viewAnnounced(at: now) }
        self.tick(at: now)
    }

    /// Executes the directives that `decide` returns.
    func perform(_ decide: (inout ClusterMembership) -> [ClusterMembership.Directive]) {
        for directive in self.state.with({ decide(&$0.membership) }) {
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
            case .probe(let node): self.probe(node)
            case .announceView: self.announceView()
            }
        }
    }

    // MARK: Probes

    /// Asks Redis whether the mailbox of another node has a subscriber.
    private func probe(_ node: UInt64) {
        self.redis.probe(from: self.incarnation, to: node) { result in
            guard let reply = try? result.get() else { return }
            self.state.with {
                $0.membership.mailbox(
                    of: node, hasSubscriber: reply.integer ?? 0 > 0, at: NodeAgent.now)
            }
        }
    }

    /// Sends a probe to this node's own mailbox, if it is subscribed.
    private func probeOwnMailbox() {
        let incarnation = self.incarnation
        guard self.mailbox.with({ $0.incarnation == incarnation }) else { return }
        self.redis.probe(from: incarnation, to: incarnation) { result in
            switch result {
            case .success:
                self.mailbox.with { $0.probeAccepted(at: NodeAgent.now) }
                self.problems.accepted(.publish)
            case .failure(let error) where error.isFromServer:
                self.problems.rejected(
                    .publish, error, mailboxOf: self.mailbox.with { $0.incarnation })
            case .failure: break
            }
        }
    }

    private func announceView() {
        let (incarnation, view) = self.state.with {
            ($0.membership.localNode.incarnation, $0.membership.view)
        }
        for node in view?.nodes ?? [] where node.incarnation != incarnation {
            self.redis.probe(from: incarnation, to: node.incarnation)
        }
    }

    // MARK: Heartbeats

    private func sendHeartbeat() {
        let isSent = self.state.with { state in
            state.record.incarnation = state.membership.localNode.incarnation
            let view = state.membership.storedView
            state.heartbeats.start(for: state.record.incarnation, in: view)
            state.heartbeatSentAt = WallClock.nanoseconds / 1000
            return self.redis.send(slot: RedisSlot(key: self.redisKeys.view)) {
                state.heartbeats.write(
                    state.record, view: view,
                    holdsName: state.membership.mayHoldName(at: NodeAgent.now), to: &$0)
            } completion: {
                self.heartbeatCompleted($0)
            }
        }
        if isSent {
            self.probeOwnMailbox()
        } else {
            self.state.with { $0.membership.heartbeatFailed(at: NodeAgent.now) }
        }
    }

    private func heartbeatCompleted(_ result: Result<RedisReply, RedisError>) {
        let now = NodeAgent.now
        switch result {
        case .success(let reply):
            guard let heartbeatReply = self.heartbeatReply(reply) else {
                return self.state.with { $0.membership.heartbeatFailed(at: now) }
            }
            self.perform { $0.receive(heartbeatReply, at: now) }
            self.fetchPeerRecords(at: now)
        case .failure(let error):
            self.problems.stateNotStored(error)
            self.state.with { $0.membership.heartbeatFailed(at: now) }
        }
    }

    /// Nil if the stored view is unreadable; then this is logged, and nothing else happens.
    private func heartbeatReply(_ reply: RedisReply) -> ClusterMembership.HeartbeatReply? {
        do throws(PersistentTextError) {
            let outcome = try self.state.with { state throws(PersistentTextError) in
                try state.heartbeats.read(reply)
            }
            guard let outcome else { return nil }
            self.recordRedisTime(outcome.redisTime)
            self.recordNameHolder(outcome.otherNameHolder)
            self.problems.stateStored()
            return outcome.reply
        } catch {
            self.problems.viewUnreadable(error.description)
            return nil
        }
    }

    private func recordRedisTime(_ time: Int64?) {
        guard let time else { return }
        let offset = self.state.with { state in
            state.clockOffset.record(
                time, sentAt: state.heartbeatSentAt, receivedAt: WallClock.nanoseconds / 1000)
            return state.clockOffset.microseconds
        }
        self.publishedClockOffset.withLock { $0 = offset }
    }

    /// Logs changes of the holder.
    private func recordNameHolder(_ holder: String?) {
        let (before, isJoined, record, process) = self.state.with { state in
            defer { state.nameHolder = holder }
            return (
                state.nameHolder, state.membership.isJoined, state.record, state.heartbeats.process
            )
        }
        guard before != holder else { return }
        let fields: LogFields = [
            "name": .text(record.name), "process": .text(holder ?? process),
        ]
        if holder == nil {
            self.logger.info("node name released", fields)
        } else if isJoined {
            self.logger.warning("node name used by another node", fields)
        } else {
            self.logger.warning("node name in use, waiting for its lease to expire", fields)
        }
    }
}

extension ClusterMembership {
    /// Whether the node is in the view that its loops follow.
    var isJoined: Bool { self.view?.node(self.localNode.incarnation) != nil }
}
