import ChatModel
import Cluster

/// Some nodes and what Redis keeps of them, under a clock of their own: does what memberships want done.
struct MembershipStage {
    struct Node {
        var membership: Membership
        /// What its loops go by.
        var view: View?
        var followed: [Int] = []
        var becameAt: [UInt64] = []
        var isAlive = true
        /// It has its connection to Redis.
        var isConnected = true
        /// Its mailbox is heard.
        var isHeard = true
    }

    var now: Int64 = 0
    var nodes: [Node] = []
    // What Redis keeps.
    var number = 0
    var view: View?
    var views: [View] = []
    var beats: [UInt64: Int64] = [:]
    /// Whether Redis does.
    var takesWrites = true
    var events: [String] = []

    /// A node comes; its place in `nodes`.
    mutating func start(_ incarnation: UInt64, loops: Int = 1) -> Int {
        var membership = Membership(View.Node(incarnation: incarnation, loops: loops))
        membership.connected(at: self.now)
        self.nodes.append(Node(membership: membership))
        return self.nodes.count - 1
    }

    /// Time passes, in steps of 50 ms.
    mutating func pass(_ milliseconds: Int64) {
        let end = self.now + milliseconds
        while self.now < end {
            self.now += 50
            for place in self.nodes.indices where self.nodes[place].isAlive {
                if self.nodes[place].isConnected, self.nodes[place].isHeard { self.nodes[place].membership.probed(at: self.now) }
                self.perform(self.nodes[place].membership.tick(at: self.now), by: place)
            }
        }
    }

    private mutating func perform(_ directives: [Membership.Directive], by place: Int) {
        guard self.nodes[place].isConnected else { return }
        for directive in directives {
            switch directive {
            case .beat:
                guard self.takesWrites else { return self.nodes[place].membership.missed(at: self.now) }
                self.beats[self.nodes[place].membership.me.incarnation] = self.now
                let known = self.nodes[place].membership.known
                let fresh = known == nil ? self.views.suffix(1) : self.views.filter { $0.number > known!.number }[...]
                let isOther = known != self.view
                let pulse = Membership.Pulse(
                    time: self.now, number: self.number, views: fresh.isEmpty && isOther ? Array(self.views.suffix(1)) : Array(fresh),
                    beats: self.beats)
                self.perform(self.nodes[place].membership.heard(pulse, at: self.now), by: place)
            case .propose(let proposal):
                self.perform(self.nodes[place].membership.proposed(isKept: self.keep(proposal), at: self.now), by: place)
            case .follow(let view):
                self.nodes[place].view = view
                self.nodes[place].followed.append(view.number)
            case .become(let incarnation, let view):
                self.nodes[place].view = view
                self.nodes[place].becameAt.append(incarnation)
            case .knock(let incarnation):
                let isHeard = self.nodes.contains { $0.membership.me.incarnation == incarnation && $0.isAlive && $0.isHeard }
                self.nodes[place].membership.mailbox(of: incarnation, isHeard: isHeard, at: self.now)
            case .announce:
                for other in self.nodes.indices where other != place { self.nodes[other].membership.announced(at: self.now) }
            }
        }
    }

    private mutating func keep(_ proposal: Membership.Proposal) -> Bool {
        guard proposal.replacing == self.number else { return false }
        if let age = proposal.age, let beat = self.beats[proposal.incarnation], self.now - beat < age { return false }
        self.number = proposal.number
        self.view = proposal.view
        self.views = proposal.view.map { self.views + [$0] } ?? []
        self.events.append(proposal.reason.rawValue)
        return true
    }

    /// How many shards each node owns, by the view that holds.
    var shares: [UInt64: Int] {
        guard let view = self.view else { return [:] }
        return Dictionary(grouping: 0..<4096) { view.owner(of: $0).incarnation }.mapValues(\.count)
    }

    /// Nothing moves, and all who live go by what holds.
    var isSettled: Bool {
        self.nodes.allSatisfy { !$0.isAlive || !$0.isConnected || $0.view == self.view } && self.view?.step(shards: 4096) == nil
    }
}
