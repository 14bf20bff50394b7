import ChatModel
import Cluster

/// Several nodes and a simulated Redis, with a simulated clock. It executes the directives of the
/// nodes' memberships.
struct ClusterMembershipFixture {
    struct SimulatedNode {
        var membership: ClusterMembership
        /// The view that its loops follow.
        var view: View?
        var followed: [Int] = []
        var rejoinedAs: [UInt64] = []
        var isAlive = true
        /// It is connected to Redis.
        var isConnected = true
        /// Its mailbox has a subscriber.
        var isMailboxSubscribed = true
    }

    var now: Int64 = 0
    var nodes: [SimulatedNode] = []
    // The state in Redis.
    var number = 0
    var view: View?
    var views: [View] = []
    var heartbeats: [UInt64: Int64] = [:]
    /// Whether Redis accepts heartbeats.
    var acceptsWrites = true
    var events: [String] = []

    /// Starts a node.
    ///
    /// - Returns: its index in `nodes`.
    mutating func start(_ incarnation: UInt64, loops: Int = 1) -> Int {
        var membership = ClusterMembership(View.Node(incarnation: incarnation, loops: loops))
        membership.connected(at: self.now)
        self.nodes.append(SimulatedNode(membership: membership))
        return self.nodes.count - 1
    }

    /// Advances the clock in steps of 50 ms.
    mutating func advance(by milliseconds: Int64) {
        let end = self.now + milliseconds
        while self.now < end {
            self.now += 50
            for index in self.nodes.indices where self.nodes[index].isAlive {
                if self.nodes[index].isConnected, self.nodes[index].isMailboxSubscribed {
                    self.nodes[index].membership.probeReturned(at: self.now)
                }
                self.perform(self.nodes[index].membership.tick(at: self.now), by: index)
            }
        }
    }

    private mutating func perform(_ directives: [ClusterMembership.Directive], by index: Int) {
        guard self.nodes[index].isConnected else { return }
        for directive in directives {
            switch directive {
            case .sendHeartbeat:
                guard self.acceptsWrites else {
                    return self.nodes[index].membership.heartbeatFailed(at: self.now)
                }
                self.heartbeats[self.nodes[index].membership.localNode.incarnation] = self.now
                let knownView = self.nodes[index].membership.storedView
                let newViews =
                    knownView == nil
                    ? self.views.suffix(1)
                    : self.views.filter { $0.number > knownView!.number }[...]
                let isDifferent = knownView != self.view
                let reply = ClusterMembership.HeartbeatReply(
                    time: self.now, number: self.number,
                    views: newViews.isEmpty && isDifferent
                        ? Array(self.views.suffix(1)) : Array(newViews),
                    heartbeats: self.heartbeats)
                self.perform(self.nodes[index].membership.receive(reply, at: self.now), by: index)
            case .propose(let proposal):
                self.perform(
                    self.nodes[index].membership.proposalDecided(
                        isAccepted: self.accept(proposal), at: self.now), by: index)
            case .follow(let view):
                self.nodes[index].view = view
                self.nodes[index].followed.append(view.number)
            case .rejoin(let incarnation, let view):
                self.nodes[index].view = view
                self.nodes[index].rejoinedAs.append(incarnation)
            case .probe(let incarnation):
                let hasSubscriber = self.nodes.contains {
                    $0.membership.localNode.incarnation == incarnation && $0.isAlive
                        && $0.isMailboxSubscribed
                }
                self.nodes[index].membership.mailbox(
                    of: incarnation, hasSubscriber: hasSubscriber, at: self.now)
            case .announceView:
                for other in self.nodes.indices where other != index {
                    self.nodes[other].membership.viewAnnounced(at: self.now)
                }
            }
        }
    }

    private mutating func accept(_ proposal: ClusterMembership.Proposal) -> Bool {
        guard proposal.replacing == self.number else { return false }
        if let age = proposal.age, let heartbeat = self.heartbeats[proposal.incarnation],
            self.now - heartbeat < age
        {
            return false
        }
        self.number = proposal.number
        self.view = proposal.view
        self.views = proposal.view.map { self.views + [$0] } ?? []
        self.events.append(proposal.reason.rawValue)
        return true
    }

    /// The number of shards per node in the stored view.
    var shardCounts: [UInt64: Int] {
        guard let view = self.view else { return [:] }
        return Dictionary(grouping: 0..<4096) { view.owner(of: $0).incarnation }.mapValues(\.count)
    }

    /// No shard is moving, and all live nodes follow the stored view.
    var isRebalanced: Bool {
        self.nodes.allSatisfy { !$0.isAlive || !$0.isConnected || $0.view == self.view }
            && self.view?.step(shards: 4096) == nil
    }
}
