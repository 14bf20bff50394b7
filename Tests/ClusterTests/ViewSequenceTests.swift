import ChatModel
import Cluster
import SeededRandom
import TestKit
import TestTraits
import Testing

@Suite("A sequence of views", .ownThread)
struct ViewSequenceTests {
    private func node(_ number: Int, isDraining: Bool = false) -> View.Node {
        View.Node(
            incarnation: 0x51_7A3B_0000 + UInt64(number), loops: 1 + number % 3,
            isDraining: isDraining)
    }

    private func view(of count: Int) -> View {
        View(number: 1, nodes: (0..<count).map { self.node($0) })
    }

    private func owners(_ view: View) -> [LoopID] {
        (0..<Shard.count).map { view.owner(of: $0) }
    }

    private func changed(_ before: View, _ after: View) -> [Int] {
        (0..<Shard.count).filter { before.owner(of: $0) != after.owner(of: $0) }
    }

    /// All steps that follow, up to the final one.
    private func moveAll(_ view: View, shards: Int = 64) -> [View] {
        var views: [View] = []
        while let next = (views.last ?? view).step(shards: shards) {
            views.append(next)
            if views.count > 1000 { break }
        }
        return views
    }

    @Test(
        "gives a joining node nothing at first, then some shards per view, up to its share"
    )
    func joining() {
        let joined = self.view(of: 2).adding(self.node(2))
        #expect(self.changed(self.view(of: 2), joined).isEmpty)
        let views = self.moveAll(joined)
        var before = joined
        for view in views {
            let moved = self.changed(before, view)
            #expect(moved.count <= 64)
            #expect(moved.allSatisfy { view.owner(of: $0).incarnation == self.node(2).incarnation })
            #expect(view.number == before.number + 1)
            before = view
        }
        #expect(self.owners(before) == self.owners(self.view(of: 3)))
        #expect(before.oldList == before.newList && before.moved.isEmpty)
        #expect(views.count > Shard.count / 3 / 64)
    }

    @Test("moves some shards per view away from a draining node, until it has none")
    func draining() {
        let going = self.node(1).incarnation
        let views = self.moveAll(self.view(of: 3).setting(draining: true, going)!)
        let last = views.last!
        #expect(self.owners(last).allSatisfy { $0.incarnation != going })
        #expect(last.node(going) != nil)
        #expect(last.newList == [self.node(0).incarnation, self.node(2).incarnation])
        #expect(last.removing(going).map(self.owners) == self.owners(last))
    }

    @Test("returns the shards of a node whose drain was cancelled")
    func staying() {
        let one = self.node(1).incarnation
        let draining = self.moveAll(self.view(of: 3).setting(draining: true, one)!)
        let half = draining[draining.count / 2]
        #expect(half.setting(draining: true, one) == nil)
        #expect(
            self.owners(self.moveAll(half.setting(draining: false, one)!).last!)
                == self.owners(self.view(of: 3)))
    }

    @Test("moves nothing if all nodes drain")
    func allNodesDrain() {
        var view = self.view(of: 2)
        for number in 0..<2 { view = view.setting(draining: true, self.node(number).incarnation)! }
        #expect(self.moveAll(view).isEmpty)
        #expect(self.owners(view) == self.owners(self.view(of: 2)))
    }

    @Test("moves nothing if every shard has its final owner")
    func nothingToMove() {
        #expect(self.view(of: 3).step(shards: 64) == nil)
        #expect(self.view(of: 1).shardsToMove.isEmpty)
    }

    @Test(
        "gives only the shards of a removed node new owners, even in the middle of a move"
    )
    func dying() {
        let views = self.moveAll(self.view(of: 3).adding(self.node(3)))
        let half = views[views.count / 2]
        for number in 0..<4 {
            let dead = self.node(number).incarnation
            let after = half.removing(dead)!
            #expect(self.changed(half, after).allSatisfy { half.owner(of: $0).incarnation == dead })
            #expect(self.owners(after).allSatisfy { $0.incarnation != dead })
            #expect(after.moved == half.moved)
        }
    }

    @Test("continues with the remaining nodes if one of the two lists becomes empty")
    func listBecomesEmpty() {
        let joined = self.moveAll(self.view(of: 1).adding(self.node(1)))
        let half = joined[joined.count / 2]
        let withoutOld = half.removing(self.node(0).incarnation)!
        #expect(withoutOld.oldList == [self.node(1).incarnation] && withoutOld.moved.isEmpty)
        let withoutNew = self.moveAll(
            self.view(of: 2).setting(draining: true, self.node(0).incarnation)!)[3].removing(
                self.node(1).incarnation)!
        #expect(withoutNew.newList == [self.node(0).incarnation] && withoutNew.moved.isEmpty)
        #expect(self.moveAll(withoutNew).isEmpty)
    }

    @Test(
        "makes a new node the owner of all shards if all others are removed"
    )
    func onlyNewNodeLeft() {
        let view = self.view(of: 1).adding(self.node(1)).removing(self.node(0).incarnation)!
        #expect(self.owners(view).allSatisfy { $0.incarnation == self.node(1).incarnation })
        #expect(view.removing(self.node(1).incarnation) == nil)
    }

    @Test("is renumbered above any number in a store that lost it")
    func renumbered() {
        let half = self.moveAll(self.view(of: 2).adding(self.node(2)))[5]
        let again = half.renumbered(above: 400)
        #expect(again.number == 401)
        #expect(half.renumbered(above: 2).number == half.number + 1)
        #expect(self.owners(again) == self.owners(half) && again.moved == half.moved)
    }

    @Test(
        "always names an owner in the view, and ends with all staying nodes in the list",
        arguments: TestRun.isLong ? 1...20 : 1...5)
    func randomChanges(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        var view = self.view(of: 1)
        var next = 1
        for _ in 0..<60 {
            let before = view
            let node = view.nodes.randomElement(using: &random)!.incarnation
            switch random.number(0...9) {
            case 0...1:
                view = view.adding(self.node(next))
                next += 1
            case 2: view = view.removing(node) ?? view
            case 3: view = view.setting(draining: random.happens(perMille: 500), node) ?? view
            default: view = view.step(shards: random.number(1...500)) ?? view
            }
            if view != before { #expect(view.number == before.number + 1) }
            let incarnations = Set(view.nodes.map(\.incarnation))
            #expect(
                (0..<Shard.count).allSatisfy {
                    incarnations.contains(view.owner(of: $0).incarnation)
                })
        }
        let last = self.moveAll(view, shards: 300).last ?? view
        let staying = last.nodes.filter { !$0.isDraining }.map(\.incarnation)
        #expect(last.shardsToMove.isEmpty && last.oldList == last.newList)
        if !staying.isEmpty { #expect(last.newList == staying) }
    }
}
