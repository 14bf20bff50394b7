import Bytes

/// Decides how a node takes part in the cluster: its heartbeats, its view, and its proposals for
/// new views.
///
/// The node sends a heartbeat twice a second and may propose every change of the view. It evicts a
/// node without a heartbeat for three seconds by Redis' clock. One second is enough if that node's
/// mailbox has had no subscriber for the same time, so the crash of a process is noticed quickly.
///
/// It evicts no node while the node itself or Redis may be at fault: on a young connection, soon
/// after a rejected heartbeat, or without its own probe. Membership does not make writes safe;
/// epochs do that. It only decides which node owns which shard.
public struct ClusterMembership: Sendable {
    public static let heartbeatPeriod: Int64 = 500
    /// The number of shards that move with one view, and the pause until the next such view.
    public static let stepShards = 128
    public static let stepPeriod: Int64 = 100
    /// A node without a heartbeat for this time, in milliseconds, is evicted.
    public static let evictionTimeout: Int64 = 3000
    static let unreachableTimeout: Int64 = 1000
    private static let suspicionTimeout: Int64 = 600

    /// This node, as the other nodes know it or will know it.
    public private(set) var localNode: View.Node
    /// The view that this node's loops follow; nil before the node has joined.
    public private(set) var view: View?
    /// The current view at the last heartbeat. It is the loops' view, or one that lacks this node.
    public private(set) var storedView: View?
    private(set) var storedNumber = 0
    /// The highest number of a view that was mentioned, so a view with it was stored once.
    private var newestNumberSeen = 0
    private var sentHeartbeat = HeartbeatFacts()
    /// A node that joined without an answered heartbeat would be evicted.
    private(set) var answeredHeartbeat = HeartbeatFacts()
    private(set) var isAwaitingHeartbeat = false
    private var nextHeartbeat: Int64 = 0
    var nextStep: Int64 = 0
    private(set) var connectedAt: Int64?
    private(set) var probeReturnedAt: Int64 = .min
    /// The proposal that Redis has not decided yet.
    public private(set) var proposal: Proposal?
    /// The ages of other nodes' heartbeats, by incarnation.
    private(set) var heartbeatAges: [UInt64: Int64] = [:]
    /// Other nodes without a record in Redis, and since when.
    private var nodesWithoutRecord: [UInt64: Int64] = [:]
    /// Nodes whose mailbox has no subscriber, and since when.
    private(set) var unreachableSince: [UInt64: Int64] = [:]
    private(set) var name = NameState.unclaimed
    var intent = Intent.serve(isDrainRefused: false)

    /// - Parameter node: has a random incarnation that no other node has or had.
    public init(_ node: View.Node) {
        self.localNode = node
    }

    /// The node has left, or has not joined yet.
    public var isOutsideCluster: Bool { self.view == nil }

    /// The ages of overdue heartbeats, in milliseconds, by node.
    public var suspects: [UInt64: Int64] {
        self.heartbeatAges.filter { $0.value >= Self.suspicionTimeout }
    }

    // MARK: Events

    /// A connection to Redis was established. It may lead to another server than before.
    public mutating func connected(at now: Int64) {
        self.connectedAt = now
        self.isAwaitingHeartbeat = false
        self.nextHeartbeat = now
        self.proposal = nil
        self.unreachableSince = [:]
    }

    public mutating func disconnected() {
        self.connectedAt = nil
        self.proposal = nil
        self.heartbeatAges = [:]
        self.unreachableSince = [:]
    }

    /// This node's own probe has returned through its mailbox.
    public mutating func probeReturned(at now: Int64) {
        self.probeReturnedAt = now
    }

    /// A node follows a view with this number, or claimed a shard under it, so it was stored once.
    /// If Redis only knows earlier ones, it lost that view. This node then stores its view under a
    /// higher number; otherwise its claims would be rejected forever.
    public mutating func viewMentioned(number: Int, at now: Int64) {
        guard number > max(self.newestNumberSeen, self.storedNumber) else { return }
        self.newestNumberSeen = number
        self.nextHeartbeat = min(self.nextHeartbeat, now)
    }

    /// Another node announced a new view.
    public mutating func viewAnnounced(at now: Int64) {
        self.nextHeartbeat = min(self.nextHeartbeat, now)
    }

    public mutating func mailbox(of incarnation: UInt64, hasSubscriber: Bool, at now: Int64) {
        if hasSubscriber {
            self.unreachableSince[incarnation] = nil
        } else if self.unreachableSince[incarnation] == nil {
            self.unreachableSince[incarnation] = now
        }
    }

    /// Call it several times a second.
    public mutating func tick(at now: Int64) -> [Directive] {
        guard self.connectedAt != nil else { return [] }
        var directives: [Directive] = []
        if now >= self.nextHeartbeat, !self.isAwaitingHeartbeat {
            self.isAwaitingHeartbeat = true
            self.sentHeartbeat = HeartbeatFacts(
                incarnation: self.localNode.incarnation, newestNumberSeen: self.newestNumberSeen)
            self.nextHeartbeat = now + Self.heartbeatPeriod
            directives.append(.sendHeartbeat)
        }
        directives += self.proposeIfNeeded(at: now)
        return directives
    }

    /// A heartbeat failed or was rejected. The heartbeats of other nodes probably failed too, so
    /// their ages mean nothing until they had time to send another one.
    public mutating func heartbeatFailed(at now: Int64) {
        self.isAwaitingHeartbeat = false
        if self.connectedAt != nil { self.connectedAt = now }
    }

    public mutating func receive(_ reply: HeartbeatReply, at now: Int64) -> [Directive] {
        self.isAwaitingHeartbeat = false
        self.name = reply.holdsName ? .held(wasTaken: self.name.wasTaken) : .taken
        self.answeredHeartbeat = self.sentHeartbeat
        var directives = self.apply(reply, at: now)
        self.heartbeatAges = [:]
        var withoutRecord: [UInt64: Int64] = [:]
        for node in self.storedView?.nodes ?? []
        where node.incarnation != self.localNode.incarnation {
            if let heartbeat = reply.heartbeats[node.incarnation] {
                self.heartbeatAges[node.incarnation] = reply.time - heartbeat
            } else {
                // Redis may have lost its record. The node gets the usual time to send a heartbeat.
                withoutRecord[node.incarnation] = self.nodesWithoutRecord[node.incarnation] ?? now
                self.heartbeatAges[node.incarnation] = now - withoutRecord[node.incarnation]!
            }
        }
        self.nodesWithoutRecord = withoutRecord
        self.unreachableSince = self.unreachableSince.filter {
            self.heartbeatAges[$0.key, default: 0] >= Self.suspicionTimeout
        }
        directives += self.suspects.keys.sorted().map { .probe($0) }
        directives += self.proposeIfNeeded(at: now)
        return directives
    }

    /// Redis decided the proposal. A rejection is normal: another node was faster.
    public mutating func proposalDecided(isAccepted: Bool, at now: Int64) -> [Directive] {
        guard let proposal = self.proposal else { return [] }
        self.proposal = nil
        guard isAccepted else {
            self.nextHeartbeat = now
            return []
        }
        self.storedNumber = proposal.number
        self.storedView = proposal.view
        if proposal.reason == .leaves { self.view = nil }
        return (proposal.view.map { self.adopt($0) } ?? []) + [.announceView]
    }

    /// Whether the next heartbeat may claim this node's name, or extend its lease.
    ///
    /// A node that waits for the name does not claim it on a young connection. The holder's lease
    /// may have expired while Redis was unavailable, and the holder may be alive and about to renew
    /// it.
    public func mayHoldName(at now: Int64) -> Bool {
        if self.intent == .leave { return false }
        guard self.name.wasTaken, self.isOutsideCluster else { return true }
        return self.connectedAt.map { now - $0 >= Self.evictionTimeout } ?? false
    }

    /// Starts or stops draining this node.
    ///
    /// Without force, the drain is refused if no other node accepts clients. The view decides, so
    /// that of two nodes that are drained at once the second one stays: its proposal replaces the
    /// first one's view.
    public mutating func setDraining(_ isDraining: Bool, isForced: Bool = true) {
        if self.intent == .leave { return }
        self.intent = isDraining ? .drain(isForced: isForced) : .serve(isDrainRefused: false)
    }

    public var isDrainRequested: Bool {
        if case .drain = self.intent { true } else { false }
    }

    /// The last request to drain was refused, because no other node accepts clients.
    public var isDrainRefused: Bool { self.intent == .serve(isDrainRefused: true) }

    /// Removes this node from the view, so that the other nodes need not detect its departure.
    public mutating func leave() {
        self.intent = .leave
    }

    // MARK: Consequences

    private mutating func apply(_ reply: HeartbeatReply, at now: Int64) -> [Directive] {
        self.storedNumber = reply.number
        guard let newest = reply.views.last else {
            // Either the current view is known already, or there is none.
            if reply.number != self.storedView?.number { self.storedView = nil }
            return []
        }
        self.storedView = newest
        guard newest.number > self.view?.number ?? 0 else { return [] }
        if newest.node(self.localNode.incarnation) == nil {
            // This node was evicted; it joins again under a new incarnation.
            if self.view?.node(self.localNode.incarnation) != nil {
                self.localNode = View.Node(
                    incarnation: self.nextIncarnation, loops: self.localNode.loops)
                self.proposal = nil
                self.nextHeartbeat = now
            }
            return []
        }
        return reply.views.flatMap {
            $0.node(self.localNode.incarnation) == nil ? [] : self.adopt($0)
        }
    }

    private var nextIncarnation: UInt64 { max(1, StableHash.mix(self.localNode.incarnation &+ 1)) }

    private mutating func adopt(_ view: View) -> [Directive] {
        guard view.number > self.view?.number ?? 0, view.node(self.localNode.incarnation) != nil
        else { return [] }
        let before = self.view
        self.view = view
        guard let before, before.node(self.localNode.incarnation) == nil else {
            return [.follow(view)]
        }
        return [.rejoin(self.localNode.incarnation, view)]
    }

    /// Proposes a change of the view, if one is needed.
    private mutating func proposeIfNeeded(at now: Int64) -> [Directive] {
        guard self.proposal == nil, !self.isAwaitingHeartbeat,
            let proposal = self.nextProposal(at: now)
        else { return [] }
        self.proposal = proposal
        return [.propose(proposal)]
    }
}
