import ChatModel
import Cluster
import RepeatableChance

/// Two masters for a moment: some nodes write to the one and some to the other, and in the end one has never been.
extension Simulation {
    func split() {
        let nodes = Set(self.loops.filter { !$0.isDead }.map(\.node)).sorted()
        guard nodes.count > 1, !self.store.isSplit else { return }
        let first = self.chance.pick(nodes)!
        let other = Set(nodes.filter { $0 == first || self.chance.happens(perMille: 300) })
        self.tell("--- two masters: nodes \(other.sorted()) of \(nodes) write to the other")
        self.store.split(other: other)
        self.historian.split()
    }

    func unite() {
        guard self.store.isSplit else { return }
        let keepsOther = self.chance.happens(perMille: 500)
        self.tell("--- one master: what the \(keepsOther ? "first" : "other") was told has never been")
        self.store.unite(keepingOther: keepsOther)
        self.historian.unite(keepingOther: keepsOther)
        self.noticeAnotherStore()
    }
}
