import Cluster
import Testing

@Suite("Membership")
struct ClusterMembershipTests {
    @Test(
        "creates a view for the first node, and gives each further node its share stepwise"
    )
    func joining() {
        var fixture = ClusterMembershipFixture()
        let first = fixture.start(7)
        fixture.advance(by: 1000)
        #expect(fixture.shardCounts == [7: 4096])
        _ = fixture.start(8)
        _ = fixture.start(9)
        fixture.advance(by: 10_000)
        #expect(fixture.isRebalanced)
        #expect(
            fixture.shardCounts.count == 3
                && fixture.shardCounts.values.allSatisfy { (1200...1500).contains($0) })
        #expect(fixture.events.filter { $0 == "joins" }.count == 3)
        #expect(fixture.events.filter { $0 == "moves" }.count > 10)
        // No node has skipped a view. A node that skips one must load all its conversations again.
        let followed = fixture.nodes[first].followed
        #expect(followed == Array(followed.first!...followed.last!))
    }

    @Test(
        "evicts a crashed node within two seconds, because its mailbox has no subscriber")
    func killedNode() {
        var fixture = Self.rebalanced([7, 8, 9])
        fixture.nodes[1].isAlive = false
        fixture.advance(by: 2000)
        #expect(Set(fixture.view!.nodes.map(\.incarnation)) == [7, 9])
        #expect(fixture.events.last == "dies")
        fixture.advance(by: 3000)
        #expect(fixture.isRebalanced)
    }

    @Test(
        "evicts a frozen node after three seconds, and readmits it under a new incarnation"
    )
    func frozenNode() {
        var fixture = Self.rebalanced([7, 8, 9])
        fixture.nodes[2].isAlive = false
        // It is frozen, but its mailbox is still subscribed.
        let incarnation = fixture.nodes[2].membership.localNode.incarnation
        fixture.nodes[2].isMailboxSubscribed = true
        var other = ClusterMembershipFixture.SimulatedNode(
            membership: ClusterMembership(View.Node(incarnation: incarnation, loops: 1)))
        other.isConnected = false
        fixture.nodes.append(other)
        fixture.advance(by: 2500)
        #expect(fixture.view!.node(9) != nil)
        fixture.advance(by: 1500)
        #expect(fixture.view!.node(9) == nil)
        fixture.nodes.removeLast()
        fixture.nodes[2].isAlive = true
        fixture.advance(by: 15_000)
        #expect(fixture.nodes[2].rejoinedAs.count == 1)
        #expect(fixture.nodes[2].membership.localNode.incarnation != 9)
        #expect(fixture.view!.nodes.count == 3 && fixture.isRebalanced)
    }

    @Test("evicts no node after an outage of Redis, or while its own probe is missing")
    func noEvictionDuringOutage() {
        var fixture = Self.rebalanced([7, 8])
        // Redis is unreachable for all nodes, while its clock continues.
        for index in fixture.nodes.indices {
            fixture.nodes[index].isConnected = false; fixture.nodes[index].membership.disconnected()
        }
        fixture.advance(by: 20_000)
        for index in fixture.nodes.indices {
            fixture.nodes[index].isConnected = true;
            fixture.nodes[index].membership.connected(at: fixture.now)
        }
        fixture.advance(by: 10_000)
        #expect(!fixture.events.contains("dies"))
        // Redis is reachable, but rejects heartbeats.
        fixture.acceptsWrites = false
        fixture.advance(by: 20_000)
        fixture.acceptsWrites = true
        fixture.advance(by: 10_000)
        #expect(!fixture.events.contains("dies"))
        // One node itself is faulty, so it must not judge others.
        fixture.nodes[1].isAlive = false
        fixture.nodes[0].isMailboxSubscribed = false
        fixture.advance(by: 20_000)
        #expect(!fixture.events.contains("dies"))
    }

    @Test("refuses to drain the last node that accepts clients, unless it is forced")
    func lastAcceptingNode() {
        var fixture = Self.rebalanced([7, 8])
        for index in [0, 1] {
            fixture.nodes[index].membership.setDraining(true, isForced: false)
        }
        fixture.advance(by: 10_000)
        let draining = fixture.view!.nodes.filter(\.isDraining).map(\.incarnation)
        #expect(draining.count == 1, "of two drains at once, the view accepts one")
        let refused = fixture.nodes.filter { $0.membership.isDrainRefused }
        #expect(refused.count == 1)
        #expect(refused[0].membership.isDrainStored == false)
        #expect(!draining.contains(refused[0].membership.localNode.incarnation))

        let last = fixture.nodes.firstIndex { $0.membership.isDrainRefused }!
        fixture.nodes[last].membership.setDraining(true)
        fixture.advance(by: 2000)
        #expect(!fixture.view!.nodes.contains { !$0.isDraining })
        #expect(!fixture.nodes[last].membership.isDrainRefused)
    }

    @Test("does not count a node without heartbeats as one that accepts clients")
    func suspectIsNoSuccessor() {
        var fixture = Self.rebalanced([7, 8])
        fixture.nodes[1].isAlive = false
        fixture.nodes[1].isMailboxSubscribed = true
        fixture.advance(by: 1600)
        fixture.nodes[0].membership.setDraining(true, isForced: false)
        fixture.advance(by: 200)
        #expect(fixture.nodes[0].membership.isDrainRefused)
    }

    @Test("stores a view above any number that was mentioned, if Redis has lost that view")
    func newerViewMentioned() {
        var fixture = Self.rebalanced([7, 8])
        let before = fixture.number
        fixture.nodes[0].membership.viewMentioned(number: before + 40, at: fixture.now)
        fixture.advance(by: 2000)
        #expect(fixture.number == before + 41)
        #expect(fixture.events.last == "restores")
        #expect(fixture.isRebalanced)
        // A number that all nodes know changes nothing.
        fixture.nodes[1].membership.viewMentioned(number: before + 41, at: fixture.now)
        fixture.advance(by: 2000)
        #expect(fixture.number == before + 41)
    }

    @Test("agrees on one view if two masters gave the same number to different ones")
    func equalNumbers() {
        var fixture = Self.rebalanced([7, 8])
        let known = fixture.view!
        var moved = ShardSet()
        moved.insert(1)
        let other = View(
            number: known.number, nodes: known.nodes, oldList: known.oldList,
            newList: known.newList, moved: moved
        )
        #expect(other != known)
        fixture.view = other
        fixture.views = [other]
        fixture.advance(by: 2000)
        #expect(fixture.isRebalanced)
        #expect(fixture.events.last == "restores")
        #expect(fixture.number > known.number)
    }

    @Test("restores a lost view in Redis under a higher number")
    func lostViews() {
        var fixture = Self.rebalanced([7, 8, 9])
        let lost = fixture.number
        // A failover to an older state.
        fixture.view = fixture.views[fixture.views.count - 3]
        fixture.views.removeLast(2)
        fixture.number = fixture.view!.number
        fixture.advance(by: 5000)
        #expect(fixture.number > lost)
        #expect(fixture.isRebalanced && fixture.view!.nodes.count == 3)
        // All data is lost.
        fixture.view = nil
        fixture.views = []
        fixture.number = 0
        fixture.heartbeats = [:]
        let before = fixture.nodes[0].view!.number
        fixture.advance(by: 5000)
        #expect(fixture.number > before)
        #expect(fixture.isRebalanced)
        #expect(
            fixture.view!.nodes.map(\.incarnation) == [7, 8, 9],
            "a node was evicted because its record was gone")
    }

    @Test(
        "restores the view if only its key is lost, for members and for a joining node"
    )
    func lostViewNumber() {
        // In the middle of a move, which must continue.
        var fixture = ClusterMembershipFixture()
        for incarnation: UInt64 in [7, 8] { _ = fixture.start(incarnation) }
        while fixture.view?.shardsToMove.isEmpty != false, fixture.now < 15_000 {
            fixture.advance(by: 50)
        }
        #expect(fixture.view?.shardsToMove.isEmpty == false)
        for isFirst in [true, false] {
            let lost = fixture.views.last!.number
            fixture.view = nil
            fixture.number = 0
            if !isFirst { _ = fixture.start(9) }
            fixture.advance(by: 15_000)
            #expect(fixture.number > lost)
            #expect(
                fixture.isRebalanced
                    && fixture.view?.nodes.map(\.incarnation) == (isFirst ? [7, 8] : [7, 8, 9]))
        }
        #expect(fixture.nodes.flatMap(\.rejoinedAs) == [], "a node had to rejoin")
    }

    @Test(
        "joins only while it holds its name, and never claims a taken name on a new connection"
    )
    func nameLease() {
        var membership = ClusterMembership(View.Node(incarnation: 7, loops: 1))
        func heartbeat(_ membership: inout ClusterMembership, at now: Int64, holdsName: Bool)
            -> [ClusterMembership.Directive]
        {
            membership.probeReturned(at: now)
            _ = membership.tick(at: now)
            return membership.receive(
                ClusterMembership.HeartbeatReply(
                    time: now, number: 0, views: [], heartbeats: [:], holdsName: holdsName), at: now
            )
        }
        membership.connected(at: 1000)
        #expect(membership.mayHoldName(at: 1000))
        let first = heartbeat(&membership, at: 1000, holdsName: false)
        #expect(!membership.mayHoldName(at: 1500))
        let second = heartbeat(&membership, at: 2000, holdsName: false)
        #expect(first == [] && second == [])
        #expect(membership.mayHoldName(at: 4000))
        let third = heartbeat(&membership, at: 4000, holdsName: true)
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
        var fixture = Self.rebalanced([7, 8, 9])
        fixture.nodes[0].membership.setDraining(true)
        fixture.advance(by: 8000)
        #expect(fixture.nodes[0].membership.hasHandedOver)
        #expect(fixture.shardCounts[7] == nil)
        fixture.nodes[0].membership.leave()
        fixture.advance(by: 1000)
        #expect(fixture.nodes[0].membership.isOutsideCluster)
        #expect(fixture.view!.nodes.count == 2)
        #expect(!fixture.events.contains("dies"))
    }

    @Test("of the last node ends with an empty view, from which the next node continues")
    func lastNode() {
        var fixture = Self.rebalanced([7])
        fixture.nodes[0].membership.leave()
        fixture.advance(by: 1000)
        #expect(fixture.view == nil)
        let number = fixture.number
        fixture.nodes[0].isAlive = false
        _ = fixture.start(8)
        fixture.advance(by: 1000)
        #expect(fixture.view?.nodes.map(\.incarnation) == [8])
        #expect(fixture.number > number)
    }

    private static func rebalanced(_ incarnations: [UInt64]) -> ClusterMembershipFixture {
        var fixture = ClusterMembershipFixture()
        for incarnation in incarnations { _ = fixture.start(incarnation) }
        fixture.advance(by: 15_000)
        #expect(fixture.isRebalanced)
        return fixture
    }
}
