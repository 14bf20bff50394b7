import ChatEngine
import ChatModel
import SeededRandom

/// Two masters for a while: some nodes write to one and some to the other, and in the end the
/// writes to one of them are lost.
extension Simulation {
    func splitMasters() {
        let nodes = Set(self.loops.filter { !$0.isDead }.map(\.node)).sorted()
        guard nodes.count > 1, !self.store.isSplit else { return }
        let first = self.random.pick(nodes)!
        let other = Set(nodes.filter { $0 == first || self.random.happens(perMille: 300) })
        self.log("--- two masters: nodes \(other.sorted()) of \(nodes) write to the other")
        self.store.splitMasters(other: other)
        self.checker.splitMasters()
    }

    func uniteMasters() {
        guard self.store.isSplit else { return }
        let keepsOther = self.random.happens(perMille: 500)
        self.log(
            "--- one master: the writes to the \(keepsOther ? "first" : "other") are lost")
        self.store.uniteMasters(keepingOther: keepsOther)
        self.checker.uniteMasters(keepingOther: keepsOther)
        self.reconnectToStore()
    }
}
