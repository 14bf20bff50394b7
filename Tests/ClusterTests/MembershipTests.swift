import Cluster
import Testing

@Suite("Membership")
struct MembershipTests {
    @Test(
        "makes the first view of the first node, and gives each that comes its share, some shards at a time"
    )
    func joining() {
        var stage = MembershipFixture()
        let first = stage.start(7)
        stage.advance(by: 1000)
        #expect(stage.shardCounts == [7: 4096])
        _ = stage.start(8)
        _ = stage.start(9)
        stage.advance(by: 10_000)
        #expect(stage.isRebalanced)
        #expect(
            stage.shardCounts.count == 3
                && stage.shardCounts.values.allSatisfy { (1200...1500).contains($0) })
        #expect(stage.events.filter { $0 == "joins" }.count == 3)
        #expect(stage.events.filter { $0 == "moves" }.count > 10)
        // Nobody has missed a view: whoever does must load all its conversations again.
        let followed = stage.nodes[first].followed
        #expect(followed == Array(followed.first!...followed.last!))
    }

    @Test(
        "takes a killed node out of the view within two seconds, because nobody hears its mailbox")
    func killedNode() {
        var stage = Self.rebalanced([7, 8, 9])
        stage.nodes[1].isAlive = false
        stage.advance(by: 2000)
        #expect(Set(stage.view!.nodes.map(\.incarnation)) == [7, 9])
        #expect(stage.events.last == "dies")
        stage.advance(by: 3000)
        #expect(stage.isRebalanced)
    }

    @Test(
        "takes a node that stands still out of the view after three seconds; it comes again as another, and is let in"
    )
    func frozenNode() {
        var stage = Self.rebalanced([7, 8, 9])
        stage.nodes[2].isAlive = false
        // It stands still, but its mailbox's connection is there: somebody hears.
        let incarnation = stage.nodes[2].membership.localNode.incarnation
        stage.nodes[2].isMailboxSubscribed = true
        var other = MembershipFixture.SimulatedNode(
            membership: Membership(View.Node(incarnation: incarnation, loops: 1)))
        other.isConnected = false
        stage.nodes.append(other)
        stage.advance(by: 2500)
        #expect(stage.view!.node(9) != nil)
        stage.advance(by: 1500)
        #expect(stage.view!.node(9) == nil)
        stage.nodes.removeLast()
        stage.nodes[2].isAlive = true
        stage.advance(by: 15_000)
        #expect(stage.nodes[2].rejoinedAs.count == 1)
        #expect(stage.nodes[2].membership.localNode.incarnation != 9)
        #expect(stage.view!.nodes.count == 3 && stage.isRebalanced)
    }

    @Test("takes nobody for dead while Redis has been away, or while it does not hear itself")
    func noEvictionDuringOutage() {
        var stage = Self.rebalanced([7, 8])
        // Redis is away for everybody, and nothing of its clock stands still.
        for place in stage.nodes.indices {
            stage.nodes[place].isConnected = false; stage.nodes[place].membership.disconnected()
        }
        stage.advance(by: 20_000)
        for place in stage.nodes.indices {
            stage.nodes[place].isConnected = true;
            stage.nodes[place].membership.connected(at: stage.now)
        }
        stage.advance(by: 10_000)
        #expect(!stage.events.contains("dies"))
        // Redis is there for everybody, and takes no beats.
        stage.acceptsWrites = false
        stage.advance(by: 20_000)
        stage.acceptsWrites = true
        stage.advance(by: 10_000)
        #expect(!stage.events.contains("dies"))
        // One node is ill itself: it may say nothing about others.
        stage.nodes[1].isAlive = false
        stage.nodes[0].isMailboxSubscribed = false
        stage.advance(by: 20_000)
        #expect(!stage.events.contains("dies"))
    }

    @Test("goes by a view above any that somebody has heard of, where Redis has forgotten that one")
    func newerViewMentioned() {
        var stage = Self.rebalanced([7, 8])
        let before = stage.number
        stage.nodes[0].membership.viewMentioned(number: before + 40, at: stage.now)
        stage.advance(by: 2000)
        #expect(stage.number == before + 41)
        #expect(stage.events.last == "restores")
        #expect(stage.isRebalanced)
        // What is known to all is no reason.
        stage.nodes[1].membership.viewMentioned(number: before + 41, at: stage.now)
        stage.advance(by: 2000)
        #expect(stage.number == before + 41)
    }

    @Test("tells Redis again what it has forgotten, under a higher number")
    func lostViews() {
        var stage = Self.rebalanced([7, 8, 9])
        let lost = stage.number
        // A failover: an older view is back.
        stage.view = stage.views[stage.views.count - 3]
        stage.views.removeLast(2)
        stage.number = stage.view!.number
        stage.advance(by: 5000)
        #expect(stage.number > lost)
        #expect(stage.isRebalanced && stage.view!.nodes.count == 3)
        // Everything is gone.
        stage.view = nil
        stage.views = []
        stage.number = 0
        stage.heartbeats = [:]
        let before = stage.nodes[0].view!.number
        stage.advance(by: 5000)
        #expect(stage.number > before)
        #expect(stage.isRebalanced)
        #expect(
            stage.view!.nodes.map(\.incarnation) == [7, 8, 9],
            "somebody was taken for dead because its record was gone")
    }

    @Test(
        "keeps the view again whose key is gone while the list of views is not, for nodes of the cluster and one that comes"
    )
    func lostViewNumber() {
        // In the middle of a move, which must go on.
        var stage = MembershipFixture()
        for incarnation: UInt64 in [7, 8] { _ = stage.start(incarnation) }
        while stage.view?.shardsToMove.isEmpty != false, stage.now < 15_000 {
            stage.advance(by: 50)
        }
        #expect(stage.view?.shardsToMove.isEmpty == false)
        for isFirst in [true, false] {
            let lost = stage.views.last!.number
            stage.view = nil
            stage.number = 0
            if !isFirst { _ = stage.start(9) }
            stage.advance(by: 15_000)
            #expect(stage.number > lost)
            #expect(
                stage.isRebalanced
                    && stage.view?.nodes.map(\.incarnation) == (isFirst ? [7, 8] : [7, 8, 9]))
        }
        #expect(stage.nodes.flatMap(\.rejoinedAs) == [], "a node had to become another")
    }

    @Test(
        "joins only while it has its name to itself, and takes that on no young connection once another had it"
    )
    func nameLease() {
        var membership = Membership(View.Node(incarnation: 7, loops: 1))
        func beat(_ membership: inout Membership, at now: Int64, hasName: Bool) -> [Membership
            .Directive]
        {
            membership.probeReturned(at: now)
            _ = membership.tick(at: now)
            return membership.receive(
                Membership.HeartbeatReply(
                    time: now, number: 0, views: [], heartbeats: [:], holdsName: hasName), at: now)
        }
        membership.connected(at: 1000)
        #expect(membership.mayHoldName(at: 1000))
        let first = beat(&membership, at: 1000, hasName: false)
        #expect(!membership.mayHoldName(at: 1500))
        let second = beat(&membership, at: 2000, hasName: false)
        #expect(first == [] && second == [])
        #expect(membership.mayHoldName(at: 4000))
        let third = beat(&membership, at: 4000, hasName: true)
        #expect(third.count == 1)
        // Its own name stays its own when it is in.
        _ = membership.proposalDecided(isAccepted: true, at: 4000)
        membership.connected(at: 5000)
        #expect(membership.mayHoldName(at: 5000))
        membership.leave()
        #expect(!membership.mayHoldName(at: 9000))
    }

    @Test("hands a draining node's shards over, and lets it go without a search for it")
    func leaving() {
        var stage = Self.rebalanced([7, 8, 9])
        stage.nodes[0].membership.setDraining(true)
        stage.advance(by: 8000)
        #expect(stage.nodes[0].membership.hasHandedOver)
        #expect(stage.shardCounts[7] == nil)
        stage.nodes[0].membership.leave()
        stage.advance(by: 1000)
        #expect(stage.nodes[0].membership.isOutsideCluster)
        #expect(stage.view!.nodes.count == 2)
        #expect(!stage.events.contains("dies"))
    }

    @Test("of the last node ends with a view of nobody, from which the next begins")
    func lastNode() {
        var stage = Self.rebalanced([7])
        stage.nodes[0].membership.leave()
        stage.advance(by: 1000)
        #expect(stage.view == nil)
        let number = stage.number
        stage.nodes[0].isAlive = false
        _ = stage.start(8)
        stage.advance(by: 1000)
        #expect(stage.view?.nodes.map(\.incarnation) == [8])
        #expect(stage.number > number)
    }

    private static func rebalanced(_ incarnations: [UInt64]) -> MembershipFixture {
        var stage = MembershipFixture()
        for incarnation in incarnations { _ = stage.start(incarnation) }
        stage.advance(by: 15_000)
        #expect(stage.isRebalanced)
        return stage
    }
}
