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
    private static let unreachableTimeout: Int64 = 1000
    private static let suspicionTimeout: Int64 = 600

    /// This node, as the other nodes know it or will know it.
    public private(set) var localNode: View.Node
    /// The view that this node's loops follow; nil before the node has joined.
    public private(set) var view: View?
    /// The current view at the last heartbeat. It is the loops' view, or one that lacks this node.
    public private(set) var storedView: View?
    private var storedNumber = 0
    /// View numbers that were stored once: the highest one mentioned, its value when the last
    /// heartbeat was sent, and its value when the last answered heartbeat was sent.
    private var newestNumberSeen = 0
    private var numberAtHeartbeat = 0
    private var confirmedNumber = 0
    private var isHeartbeatAnswered = true
    /// The incarnation of the last heartbeat sent, and of the last one answered. A node that joined
    /// without a heartbeat would be evicted.
    private var heartbeatIncarnation: UInt64 = 0
    private var answeredIncarnation: UInt64 = 0
    private var nextHeartbeat: Int64 = 0
    private var nextStep: Int64 = 0
    private var connectedAt: Int64?
    private var probeReturnedAt: Int64 = .min
    /// The proposal that Redis has not decided yet.
    public private(set) var proposal: Proposal?
    /// The ages of other nodes' heartbeats, by incarnation.
    private var heartbeatAges: [UInt64: Int64] = [:]
    /// Other nodes without a record in Redis, and since when.
    private var nodesWithoutRecord: [UInt64: Int64] = [:]
    /// Nodes whose mailbox has no subscriber, and since when.
    private var unreachableSince: [UInt64: Int64] = [:]
    /// Whether this process held its name at the last heartbeat, and whether another process ever
    /// held it.
    private var holdsName = false
    private var nameWasTaken = false
    public private(set) var isDrainRequested = false
    private var isDrainForced = false
    /// The last request to drain was refused, because no other node accepts clients.
    public private(set) var isDrainRefused = false
    private var isLeaving = false

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
        self.isHeartbeatAnswered = true
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
        if now >= self.nextHeartbeat, self.isHeartbeatAnswered {
            self.isHeartbeatAnswered = false
            self.heartbeatIncarnation = self.localNode.incarnation
            self.numberAtHeartbeat = self.newestNumberSeen
            self.nextHeartbeat = now + Self.heartbeatPeriod
            directives.append(.sendHeartbeat)
        }
        directives += self.proposeIfNeeded(at: now)
        return directives
    }

    /// A heartbeat failed or was rejected. The heartbeats of other nodes probably failed too, so
    /// their ages mean nothing until they had time to send another one.
    public mutating func heartbeatFailed(at now: Int64) {
        self.isHeartbeatAnswered = true
        if self.connectedAt != nil { self.connectedAt = now }
    }

    public mutating func receive(_ reply: HeartbeatReply, at now: Int64) -> [Directive] {
        self.isHeartbeatAnswered = true
        self.holdsName = reply.holdsName
        self.nameWasTaken = self.nameWasTaken || !reply.holdsName
        self.answeredIncarnation = self.heartbeatIncarnation
        self.confirmedNumber = self.numberAtHeartbeat
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
        if self.isLeaving { return false }
        guard self.nameWasTaken, self.isOutsideCluster else { return true }
        return self.connectedAt.map { now - $0 >= Self.evictionTimeout } ?? false
    }

    /// Starts or stops draining this node.
    ///
    /// Without force, the drain is refused if no other node accepts clients. The view decides, so
    /// that of two nodes that are drained at once the second one stays: its proposal replaces the
    /// first one's view.
    public mutating func setDraining(_ isDraining: Bool, isForced: Bool = true) {
        self.isDrainRequested = isDraining
        self.isDrainForced = isForced
        self.isDrainRefused = false
    }

    /// Whether another live node of the view accepts clients.
    private func othersAcceptClients(in view: View) -> Bool {
        view.nodes.contains {
            $0.incarnation != self.localNode.incarnation && !$0.isDraining
                && self.heartbeatAges[$0.incarnation, default: 0] < Self.unreachableTimeout
        }
    }

    /// Removes this node from the view, so that the other nodes need not detect its departure.
    public mutating func leave() {
        self.isLeaving = true
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
        guard self.proposal == nil, self.isHeartbeatAnswered,
            let proposal = self.nextProposal(at: now)
        else { return [] }
        self.proposal = proposal
        return [.propose(proposal)]
    }

    private mutating func nextProposal(at now: Int64) -> Proposal? {
        guard let stored = self.storedView, stored.number >= self.view?.number ?? 0,
            !self.isNumberLost
        else { return self.restoringProposal(at: now) }
        if stored.number < self.confirmedNumber, stored == self.view {
            return self.restoringProposal(at: now)
        }
        guard stored.node(self.localNode.incarnation) != nil else {
            return self.isLeaving || !self.mayJoin(at: now) || !self.holdsName
                ? nil : self.makeProposal(stored.adding(self.localNode), .joins)
        }
        // Two masters gave the same number to different views.
        if stored.number == self.view?.number, stored != self.view {
            return self.makeProposal(
                stored.renumbered(above: self.confirmedNumber), .restores,
                replacing: self.storedNumber)
        }
        if self.isLeaving {
            let view = stored.removing(self.localNode.incarnation)
            return Proposal(
                view: view, replacing: stored.number, reason: .leaves,
                incarnation: self.localNode.incarnation,
                moves: view?.moves(since: stored) ?? [], age: nil)
        }
        if let evicted = self.nodeToEvict(at: now), let view = stored.removing(evicted.incarnation)
        {
            return Proposal(
                view: view, replacing: stored.number, reason: .dies,
                incarnation: evicted.incarnation, moves: view.moves(since: stored),
                age: evicted.age)
        }
        if self.isDrainRequested, !self.isDrainForced, !self.isDrainStored,
            !self.othersAcceptClients(in: stored)
        {
            self.isDrainRequested = false
            self.isDrainRefused = true
        }
        if let view = stored.setting(draining: self.isDrainRequested, self.localNode.incarnation) {
            return self.makeProposal(view, self.isDrainRequested ? .drains : .stays)
        }
        guard self.isFirstLiveNode, now >= self.nextStep,
            let view = stored.step(shards: Self.stepShards)
        else { return nil }
        self.nextStep = now + Self.stepPeriod
        var proposal = self.makeProposal(view, .moves)
        proposal.moves = stored.completedMoves
        proposal.isStep = proposal.moves.isEmpty
        return proposal
    }

    /// Redis has views but no current number. A proposal that replaces the newest view would be
    /// rejected forever.
    private var isNumberLost: Bool {
        self.storedView.map { $0.number != self.storedNumber } ?? false
    }

    /// Restores the view if Redis has none, or an older one than this node follows, because Redis
    /// lost data.
    private func restoringProposal(at now: Int64) -> Proposal? {
        if self.isLeaving || !self.mayJoin(at: now) { return nil }
        // A node in the view is known to be alive under its name. A joining node must hold its name
        // alone.
        if self.view?.node(self.localNode.incarnation) == nil, !self.holdsName { return nil }
        if self.isNumberLost, let stored = self.storedView,
            stored.node(self.localNode.incarnation) == nil
        {
            return self.makeProposal(
                stored.adding(self.localNode), .joins, replacing: self.storedNumber)
        }
        let view = self.view.map {
            $0.node(self.localNode.incarnation) == nil
                ? View(number: $0.number, nodes: [self.localNode]) : $0
        }
        guard let view else {
            // The first node ever, or the first one after all nodes have left.
            return self.makeProposal(
                View(number: self.storedNumber + 1, nodes: [self.localNode]), .joins,
                replacing: self.storedNumber)
        }
        let above = max(self.storedNumber, self.confirmedNumber)
        return self.makeProposal(
            view.renumbered(above: above), .restores, replacing: self.storedNumber)
    }

    private func makeProposal(_ view: View, _ reason: Reason, replacing: Int? = nil) -> Proposal {
        Proposal(
            view: view, replacing: replacing ?? view.number - 1, reason: reason,
            incarnation: self.localNode.incarnation, age: nil)
    }

    /// A joining node must be able to receive messages, and its heartbeat must have been answered.
    private func mayJoin(at now: Int64) -> Bool {
        self.receivesOwnProbe(at: now) && self.answeredIncarnation == self.localNode.incarnation
    }

    private func receivesOwnProbe(at now: Int64) -> Bool {
        now - Self.unreachableTimeout <= self.probeReturnedAt
    }

    private func nodeToEvict(at now: Int64) -> (incarnation: UInt64, age: Int64)? {
        guard let connectedAt = self.connectedAt, now - connectedAt >= Self.evictionTimeout,
            self.receivesOwnProbe(at: now)
        else { return nil }
        // Until the next heartbeat, the ages still contain a node that was just removed.
        for (incarnation, age) in self.heartbeatAges.sorted(by: { $0.key < $1.key })
        where self.storedView?.node(incarnation) != nil {
            if age >= Self.evictionTimeout { return (incarnation, Self.evictionTimeout) }
            if age >= Self.unreachableTimeout, let since = self.unreachableSince[incarnation],
                now - since >= Self.unreachableTimeout
            {
                return (incarnation, Self.unreachableTimeout)
            }
        }
        return nil
    }

    /// Whether this node moves the shards: the first live node does. If two nodes consider
    /// themselves first, the faster proposal wins.
    private var isFirstLiveNode: Bool {
        let liveNodes = (self.storedView?.nodes ?? []).filter {
            self.heartbeatAges[$0.incarnation, default: 0] < Self.unreachableTimeout
        }
        return liveNodes.first?.incarnation == self.localNode.incarnation
    }
}
