import Cluster
import Testing

@Suite("Membership")
struct MembershipTests {
    @Test(
        "creates a view for the first node, and gives each further node its share stepwise"
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
        // No node has skipped a view. A node that skips one must load all its conversations again.
        let followed = stage.nodes[first].followed
        #expect(followed == Array(followed.first!...followed.last!))
    }

    @Test(
        "evicts a crashed node within two seconds, because its mailbox has no subscriber")
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
        "evicts a frozen node after three seconds, and readmits it under a new incarnation"
    )
    func frozenNode() {
        var stage = Self.rebalanced([7, 8, 9])
        stage.nodes[2].isAlive = false
        // It is frozen, but its mailbox is still subscribed.
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

    @Test("evicts no node after an outage of Redis, or while its own probe is missing")
    func noEvictionDuringOutage() {
        var stage = Self.rebalanced([7, 8])
        // Redis is unreachable for all nodes, while its clock continues.
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
        // Redis is reachable, but rejects heartbeats.
        stage.acceptsWrites = false
        stage.advance(by: 20_000)
        stage.acceptsWrites = true
        stage.advance(by: 10_000)
        #expect(!stage.events.contains("dies"))
        // One node itself is faulty, so it must not judge others.
        stage.nodes[1].isAlive = false
        stage.nodes[0].isMailboxSubscribed = false
        stage.advance(by: 20_000)
        #expect(!stage.events.contains("dies"))
    }

    @Test("stores a view above any number that was mentioned, if Redis has lost that view")
    func newerViewMentioned() {
        var stage = Self.rebalanced([7, 8])
        let before = stage.number
        stage.nodes[0].membership.viewMentioned(number: before + 40, at: stage.now)
        stage.advance(by: 2000)
        #expect(stage.number == before + 41)
        #expect(stage.events.last == "restores")
        #expect(stage.isRebalanced)
        // A number that all nodes know changes nothing.
        stage.nodes[1].membership.viewMentioned(number: before + 41, at: stage.now)
        stage.advance(by: 2000)
        #expect(stage.number == before + 41)
    }

    @Test("restores a lost view in Redis under a higher number")
    func lostViews() {
        var stage = Self.rebalanced([7, 8, 9])
        let lost = stage.number
        // A failover to an older state.
        stage.view = stage.views[stage.views.count - 3]
        stage.views.removeLast(2)
        stage.number = stage.view!.number
        stage.advance(by: 5000)
        #expect(stage.number > lost)
        #expect(stage.isRebalanced && stage.view!.nodes.count == 3)
        // All data is lost.
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
        "restores the view if only its key is lost, for members and for a joining node"
    )
    func lostViewNumber() {
        // In the middle of a move, which must continue.
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
        "joins only while it holds its name, and never claims a taken name on a new connection"
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
        // A member keeps its name.
        _ = membership.proposalDecided(isAccepted: true, at: 4000)
        membership.connected(at: 5000)
        #expect(membership.mayHoldName(at: 5000))
        membership.leave()
        #expect(!membership.mayHoldName(at: 9000))
    }

    @Test("hands the shards of a draining node over, and lets it leave without an eviction")
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

    @Test("of the last node ends with an empty view, from which the next node continues")
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
