import Bytes
import ChatModel
import Cluster
import Testing

@Suite("A view")
struct ViewTests {
    static let three = [
        View.Node(incarnation: 0x1001, loops: 2), View.Node(incarnation: 0x2002, loops: 4),
        View.Node(incarnation: 0x3003, loops: 1),
    ]

    /// Computed independently of this code, because nodes of different versions must agree.
    static let known: [(shard: Int, incarnation: UInt64, loop: UInt16)] = [
        (0, 0x2002, 0), (1, 0x3003, 0), (2, 0x2002, 2), (3, 0x2002, 1), (1000, 0x3003, 0),
        (4094, 0x1001, 0), (4095, 0x3003, 0),
    ]

    private func nodes(_ count: Int, loops: Int = 2) -> [View.Node] {
        (0..<count).map { View.Node(incarnation: 0x51_7A3B_0000 + UInt64($0), loops: loops) }
    }

    private func owners(_ nodes: [View.Node]) -> [LoopID] {
        let view = View(number: 1, nodes: nodes)
        return (0..<Shard.count).map { view.owner(of: $0) }
    }

    @Test(
        "names the same owner of a shard on every node and in every version", arguments: Self.known)
    func isFixed(shard: Int, incarnation: UInt64, loop: UInt16) {
        #expect(
            View(number: 1, nodes: Self.three).owner(of: shard)
                == LoopID(incarnation: incarnation, loop: loop))
    }

    @Test("names the owner of a conversation by its shard")
    func conversations() {
        let view = View(number: 1, nodes: Self.three)
        for number in 0..<100 {
            let key = ConversationKey.numbered(number)
            #expect(view.owner(of: key) == view.owner(of: Shard.of(key)))
        }
    }

    @Test("does not depend on the order of the nodes, nor on its number")
    func orderOfNodes() {
        let turned = View(number: 9, nodes: Self.three.reversed())
        #expect((0..<Shard.count).map { turned.owner(of: $0) } == self.owners(Self.three))
    }

    @Test(
        "gives every node its share of the shards, and every loop its share of those",
        arguments: [2, 3, 5, 8])
    func spread(count: Int) {
        let loops = 2
        var perNode: [UInt64: Int] = [:]
        var perLoop: [LoopID: Int] = [:]
        for owner in self.owners(self.nodes(count, loops: loops)) {
            perNode[owner.incarnation, default: 0] += 1
            perLoop[owner, default: 0] += 1
        }

        #expect(perNode.count == count)
        #expect(perLoop.count == count * loops)
        for share in perNode.values {
            #expect(abs(share - Shard.count / count) < Shard.count / count / 5)
        }
        for share in perLoop.values {
            #expect(abs(share - Shard.count / count / loops) < Shard.count / count / loops / 4)
        }
    }

    @Test(
        "gives a joining node its share, and moves nothing between the others",
        arguments: [1, 2, 3, 7])
    func joiningNode(count: Int) {
        let before = self.owners(self.nodes(count))
        let after = self.owners(self.nodes(count + 1))
        let added = self.nodes(count + 1)[count].incarnation
        let moved = (0..<Shard.count).filter { before[$0] != after[$0] }

        #expect(moved.allSatisfy { after[$0].incarnation == added })
        let share = Shard.count / (count + 1)
        #expect(abs(moved.count - share) < share / 5)
    }

    @Test("distributes the shards of a leaving node among all others", arguments: [2, 3, 7])
    func leavingNode(count: Int) {
        let all = self.nodes(count)
        let removed = all[count / 2]
        let before = self.owners(all)
        let after = self.owners(all.filter { $0.incarnation != removed.incarnation })

        let moved = (0..<Shard.count).filter { before[$0] != after[$0] }
        #expect(moved.allSatisfy { before[$0].incarnation == removed.incarnation })
        let newOwners = Set(
            (0..<Shard.count).filter { before[$0].incarnation == removed.incarnation }.map {
                after[$0].incarnation
            })
        #expect(newOwners.count == count - 1)
    }

    @Test("keeps shards on their nodes if another node changes its number of loops")
    func loopsOfOthers() {
        var changed = self.nodes(3)
        changed[0] = View.Node(incarnation: changed[0].incarnation, loops: 7)
        let before = self.owners(self.nodes(3))
        let after = self.owners(changed)
        #expect(after.map(\.incarnation) == before.map(\.incarnation))
        let moved = (0..<Shard.count).filter { before[$0] != after[$0] }
        #expect(moved.allSatisfy { before[$0].incarnation == changed[0].incarnation })
    }

    @Test("explains the owner of a shard before, after and without a move")
    func reasons() throws {
        let nodes = self.nodes(3)
        let (old, new) = (nodes.prefix(2).map(\.incarnation), nodes.map(\.incarnation))
        func name(_ incarnation: UInt64) -> String { "n\(incarnation - nodes[0].incarnation + 1)" }
        let settled = View(number: 1, nodes: nodes)
        let shard = try #require(
            (0..<Shard.count).first { settled.owner(of: $0).incarnation == new[2] })
        #expect(
            settled.reason(for: shard, naming: name)
                == "n3 ranks highest of 3 nodes for shard \(shard)")
        #expect(
            View(number: 1, nodes: [nodes[0]]).reason(for: 7, naming: name) == "n1 is the only node"
        )

        let moving = View(number: 2, nodes: nodes, oldList: old, newList: new, moved: ShardSet())
        #expect(moving.isMoving(shard) && !settled.isMoving(shard))
        let before = name(moving.owner(of: shard).incarnation)
        #expect(
            moving.reason(for: shard, naming: name)
                == "\(before) owned shard \(shard) before the current move to n3")
        var moved = ShardSet()
        moved.insert(shard)
        let arrived = View(number: 3, nodes: nodes, oldList: old, newList: new, moved: moved)
        #expect(!arrived.isMoving(shard))
        #expect(
            arrived.reason(for: shard, naming: name)
                == "n3 ranks highest of the 3 remaining nodes, and the shard has moved already")
        #expect(
            settled.shardCounts.values.reduce(0, +) == Shard.count && settled.shardCounts.count == 3
        )
    }

    @Test("gathers the subscribers of a conversation on the loop that would own it")
    func preferredLoop() {
        let view = View(number: 1, nodes: Self.three)
        for number in 0..<500 {
            let key = ConversationKey.numbered(number)
            let owner = view.owner(of: key)
            let loops = Self.three.first { $0.incarnation == owner.incarnation }!.loops
            #expect(View.preferredLoop(of: key, loops: loops) == Int(owner.loop))
        }
    }

    @Test(
        "prefers the same loop for a conversation in every version",
        arguments: [("general" as ByteString, 2), ("talk-1", 0), ("talk-2", 0), ("talk-3", 2)])
    func preferredLoopIsFixed(id: ByteString, loop: Int) {
        #expect(
            View.preferredLoop(of: ConversationKey(tenant: "default", id: id), loops: 4) == loop)
        #expect(View.preferredLoop(of: ConversationKey(tenant: "default", id: id), loops: 1) == 0)
    }
}
