import Bytes

/// A node's place in the cluster: what it hears of the others, and what it does about the view.
///
/// It beats twice a second, takes part in every change of the view, and takes others for dead that have not beaten for three seconds by
/// Redis' clock, or for one while nobody hears their mailbox for just as long: a killed process shows at once. It takes nobody for dead
/// while it may be itself, or Redis, that is ill: on a young connection, soon after a beat was refused, or without having heard its own
/// probe. Nothing here makes a write safe, which the epochs do; this only says where to go.
public struct Membership: Sendable {
    /// What Redis says to a beat.
    public struct HeartbeatReply: Sendable {
        /// Redis' clock, in milliseconds.
        public let time: Int64
        /// The number of the view that is kept; 0 where none ever was.
        public let number: Int
        /// Kept views that are not known yet, oldest first; the last is the one that holds. None where everybody has left.
        public let views: [View]
        /// When each of the others beat last, by Redis' clock.
        public let heartbeats: [UInt64: Int64]
        /// This node's process holds its name, which no other living node then goes by.
        public let holdsName: Bool

        public init(
            time: Int64, number: Int, views: [View], heartbeats beats: [UInt64: Int64],
            holdsName hasName: Bool = true
        ) {
            self.time = time
            self.number = number
            self.views = views
            self.heartbeats = beats
            self.holdsName = hasName
        }
    }

    /// Why a view is to follow another; for the log and for the cluster's own record of events.
    public enum Reason: String, Sendable {
        case joins, dies, moves, drains, stays, leaves, restores
    }

    /// A view that is to take the place of another, unless somebody was quicker.
    public struct Proposal: Sendable, Equatable {
        /// Nil where nobody is left in it.
        public let view: View?
        /// The number of the view that it follows; it holds only where that is kept.
        public let replacing: Int
        public let reason: Reason
        /// Whom it is about.
        public let incarnation: UInt64
        /// It holds only while that node's last beat is at least so old, in milliseconds.
        public let age: Int64?

        /// What is kept has this number when it has taken its place.
        public var number: Int { self.view?.number ?? self.replacing + 1 }
    }

    /// What is to be done.
    public enum Directive: Sendable, Equatable {
        /// Say that this node lives, and ask what holds.
        case sendHeartbeat
        case propose(Proposal)
        /// The node's loops go by this view from here on. Views come in order.
        case follow(View)
        /// They do so under another incarnation: the one before is taken for dead.
        case rejoin(UInt64, View)
        /// Find out whether anybody hears the mailbox of that node, and say so by `mailbox(of:isMailboxSubscribed:at:)`.
        case probe(UInt64)
        /// The others are to look at the view.
        case announceView
    }

    public static let heartbeatPeriod: Int64 = 500
    /// So many shards change their owner with one view, and the next follows after so long.
    public static let stepShards = 128
    public static let stepPeriod: Int64 = 100
    /// Who has not beaten for so long, in milliseconds, is taken for dead.
    public static let evictionTimeout: Int64 = 3000
    private static let unreachableTimeout: Int64 = 1000
    private static let suspicionTimeout: Int64 = 600

    /// This node, as the others know it or are to know it.
    public private(set) var localNode: View.Node
    /// What this node's loops go by; nil before it is one of the cluster's.
    public private(set) var view: View?
    /// What holds, as this node last heard: the loops' own view, or one that this node is not in.
    private var lastStoredView: View?
    private var storedNumber = 0
    /// The number of a view that was kept once: heard of, named by the last beat that left, and by the last that was answered.
    private var newestNumberSeen = 0
    private var numberAtHeartbeat = 0
    private var confirmedNumber = 0
    private var isHeartbeatAnswered = true
    /// Under which incarnation it has beaten last, and been answered: who is in the view and has never beaten is taken for dead.
    private var heartbeatIncarnation: UInt64 = 0
    private var answeredIncarnation: UInt64 = 0
    private var nextHeartbeat: Int64 = 0
    private var nextStep: Int64 = 0
    private var connectedAt: Int64?
    private var probeReturnedAt: Int64 = .min
    /// What was proposed, and is not decided.
    public private(set) var proposal: Proposal?
    /// Others whose last beat is old: how old, by their incarnation.
    private var heartbeatAges: [UInt64: Int64] = [:]
    /// Others who have no record, and since when.
    private var nodesWithoutRecord: [UInt64: Int64] = [:]
    /// Since when nobody hears a mailbox.
    private var unreachableSince: [UInt64: Int64] = [:]
    /// As of the last beat, and whether another process was ever found to hold the name.
    private var holdsName = false
    private var nameWasTaken = false
    private var isDrainRequested = false
    private var isLeaving = false

    /// - Parameter me: its incarnation is random: nobody else has, or ever had, the same.
    public init(_ me: View.Node) {
        self.localNode = me
    }

    /// What holds, as this node last heard.
    public var storedView: View? { self.lastStoredView }

    /// It has left, or was never in.
    public var isOutsideCluster: Bool { self.view == nil }

    /// How long each node has not beaten, in milliseconds, where that is longer than it should be.
    public var suspects: [UInt64: Int64] {
        self.heartbeatAges.filter { $0.value >= Self.suspicionTimeout }
    }

    // MARK: What happens

    /// There is a connection to a Redis that has not been known to be the same as before.
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

    /// This node's own mailbox has brought it what it had sent there.
    public mutating func probeReturned(at now: Int64) {
        self.probeReturnedAt = now
    }

    /// Somebody goes by a view of this number, or has claimed a shard under it: it was kept once. Should Redis know only of earlier ones,
    /// it has forgotten it, and this node's view is told it under a later number, or its claims would be refused for ever.
    public mutating func viewMentioned(number: Int, at now: Int64) {
        guard number > max(self.newestNumberSeen, self.storedNumber) else { return }
        self.newestNumberSeen = number
        self.nextHeartbeat = min(self.nextHeartbeat, now)
    }

    /// Somebody has said that there is another view.
    public mutating func viewAnnounced(at now: Int64) {
        self.nextHeartbeat = min(self.nextHeartbeat, now)
    }

    public mutating func mailbox(of incarnation: UInt64, hasSubscriber isHeard: Bool, at now: Int64)
    {
        if isHeard {
            self.unreachableSince[incarnation] = nil
        } else if self.unreachableSince[incarnation] == nil {
            self.unreachableSince[incarnation] = now
        }
    }

    /// To be called some times a second.
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

    /// The beat was not answered, or refused: then the others' beats are, too, and their age says nothing until they have had time to
    /// beat again.
    public mutating func heartbeatFailed(at now: Int64) {
        self.isHeartbeatAnswered = true
        if self.connectedAt != nil { self.connectedAt = now }
    }

    public mutating func receive(_ pulse: HeartbeatReply, at now: Int64) -> [Directive] {
        self.isHeartbeatAnswered = true
        self.holdsName = pulse.holdsName
        self.nameWasTaken = self.nameWasTaken || !pulse.holdsName
        self.answeredIncarnation = self.heartbeatIncarnation
        self.confirmedNumber = self.numberAtHeartbeat
        var directives = self.apply(pulse, at: now)
        self.heartbeatAges = [:]
        var recordless: [UInt64: Int64] = [:]
        for node in self.lastStoredView?.nodes ?? []
        where node.incarnation != self.localNode.incarnation {
            if let beat = pulse.heartbeats[node.incarnation] {
                self.heartbeatAges[node.incarnation] = pulse.time - beat
            } else {
                // Redis may have forgotten its record: it has as much time as anybody to say that it lives.
                recordless[node.incarnation] = self.nodesWithoutRecord[node.incarnation] ?? now
                self.heartbeatAges[node.incarnation] = now - recordless[node.incarnation]!
            }
        }
        self.nodesWithoutRecord = recordless
        self.unreachableSince = self.unreachableSince.filter {
            self.heartbeatAges[$0.key, default: 0] >= Self.suspicionTimeout
        }
        directives += self.suspects.keys.sorted().map { .probe($0) }
        directives += self.proposeIfNeeded(at: now)
        return directives
    }

    /// What became of the view that was proposed. Nothing is wrong with a refusal: somebody was quicker.
    public mutating func proposalDecided(isAccepted isKept: Bool, at now: Int64) -> [Directive] {
        guard let proposal = self.proposal else { return [] }
        self.proposal = nil
        guard isKept else {
            self.nextHeartbeat = now
            return []
        }
        self.storedNumber = proposal.number
        self.lastStoredView = proposal.view
        if proposal.reason == .leaves { self.view = nil }
        return (proposal.view.map { self.adopt($0) } ?? []) + [.announceView]
    }

    /// Whether the next beat is to take this node's name, or to hold it longer.
    ///
    /// A node that waits for the name does not take it on a young connection: while Redis was away the holder's lease ended, and the holder
    /// may be alive and about to renew it.
    public func mayHoldName(at now: Int64) -> Bool {
        if self.isLeaving { return false }
        guard self.nameWasTaken, self.isOutsideCluster else { return true }
        return self.connectedAt.map { now - $0 >= Self.evictionTimeout } ?? false
    }

    /// This node is about to go, or stays after all.
    public mutating func setDraining(_ wantsToDrain: Bool) {
        self.isDrainRequested = wantsToDrain
    }

    /// This node goes: the others need not find out.
    public mutating func leave() {
        self.isLeaving = true
    }

    /// Nothing of this node's is left to be handed over, or there is nobody to whom.
    public var hasHandedOver: Bool {
        guard let view = self.view else { return true }
        return !view.ownsShards(self.localNode.incarnation) || view.nodes.allSatisfy(\.isDraining)
    }

    // MARK: What follows from it

    private mutating func apply(_ pulse: HeartbeatReply, at now: Int64) -> [Directive] {
        self.storedNumber = pulse.number
        guard let newest = pulse.views.last else {
            // Either it is the one that is known, or there is none.
            if pulse.number != self.lastStoredView?.number { self.lastStoredView = nil }
            return []
        }
        self.lastStoredView = newest
        guard newest.number > self.view?.number ?? 0 else { return [] }
        if newest.node(self.localNode.incarnation) == nil {
            // Taken for dead: it comes again as another.
            if self.view?.node(self.localNode.incarnation) != nil {
                self.localNode = View.Node(
                    incarnation: self.nextIncarnation, loops: self.localNode.loops)
                self.proposal = nil
                self.nextHeartbeat = now
            }
            return []
        }
        return pulse.views.flatMap {
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

    /// What this node would change about the view, if anything.
    private mutating func proposeIfNeeded(at now: Int64) -> [Directive] {
        guard self.proposal == nil, self.isHeartbeatAnswered,
            let proposal = self.nextProposal(at: now)
        else { return [] }
        self.proposal = proposal
        return [.propose(proposal)]
    }

    private mutating func nextProposal(at now: Int64) -> Proposal? {
        guard let kept = self.lastStoredView, kept.number >= self.view?.number ?? 0,
            !self.isNumberLost
        else { return self.restoringProposal(at: now) }
        if kept.number < self.confirmedNumber, kept == self.view {
            return self.restoringProposal(at: now)
        }
        guard kept.node(self.localNode.incarnation) != nil else {
            return self.isLeaving || !self.mayJoin(at: now) || !self.holdsName
                ? nil : self.makeProposal(kept.adding(self.localNode), .joins)
        }
        if self.isLeaving {
            return Proposal(
                view: kept.removing(self.localNode.incarnation), replacing: kept.number,
                reason: .leaves, incarnation: self.localNode.incarnation, age: nil
            )
        }
        if let dead = self.nodeToEvict(at: now), let view = kept.removing(dead.incarnation) {
            return Proposal(
                view: view, replacing: kept.number, reason: .dies, incarnation: dead.incarnation,
                age: dead.age)
        }
        if let view = kept.setting(draining: self.isDrainRequested, self.localNode.incarnation) {
            return self.makeProposal(view, self.isDrainRequested ? .drains : .stays)
        }
        guard self.isFirstLiveNode, now >= self.nextStep,
            let view = kept.step(shards: Self.stepShards)
        else { return nil }
        self.nextStep = now + Self.stepPeriod
        return self.makeProposal(view, .moves)
    }

    /// Redis has the texts of views but no number that holds. A proposal that replaces the newest of them would be refused for ever.
    private var isNumberLost: Bool {
        self.lastStoredView.map { $0.number != self.storedNumber } ?? false
    }

    /// Where nothing is kept, or something older than what this node goes by: Redis has forgotten, and is told again.
    private func restoringProposal(at now: Int64) -> Proposal? {
        if self.isLeaving || !self.mayJoin(at: now) { return nil }
        // A node that is in the view is known to live under its name; one that comes must have it to itself.
        if self.view?.node(self.localNode.incarnation) == nil, !self.holdsName { return nil }
        if self.isNumberLost, let kept = self.lastStoredView,
            kept.node(self.localNode.incarnation) == nil
        {
            return self.makeProposal(
                kept.adding(self.localNode), .joins, replacing: self.storedNumber)
        }
        let view = self.view.map {
            $0.node(self.localNode.incarnation) == nil
                ? View(number: $0.number, nodes: [self.localNode]) : $0
        }
        guard let view else {
            // The first of all, or the first after everybody has left.
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

    /// Whoever comes must be able to hear the others, and must be known to live.
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
        // Until the next beat the ages tell of a node, too, that has just been taken out.
        for (incarnation, age) in self.heartbeatAges.sorted(by: { $0.key < $1.key })
        where self.lastStoredView?.node(incarnation) != nil {
            if age >= Self.evictionTimeout { return (incarnation, Self.evictionTimeout) }
            if age >= Self.unreachableTimeout, let since = self.unreachableSince[incarnation],
                now - since >= Self.unreachableTimeout
            {
                return (incarnation, Self.unreachableTimeout)
            }
        }
        return nil
    }

    /// The one who moves shards: of those who live the first. If two take themselves for it, the quicker one is.
    private var isFirstLiveNode: Bool {
        let living = (self.lastStoredView?.nodes ?? []).filter {
            self.heartbeatAges[$0.incarnation, default: 0] < Self.unreachableTimeout
        }
        return living.first?.incarnation == self.localNode.incarnation
    }
}
