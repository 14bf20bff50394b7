import ChatModel
import Cluster
import RepeatableChance

/// Nodes that come, drain and die, and the views that say so.
extension Simulation {
    /// A node begins to work; what it owns the view says.
    func start(_ node: View.Node) {
        let place = self.loops.last.map { $0.node + 1 } ?? 0
        for loop in 0..<node.loops {
            let id = OwnerID(incarnation: node.incarnation, loop: UInt16(loop))
            self.loopNumbers[id] = self.loops.count
            self.agenda.add(.tick(self.loops.count), at: self.now + self.chance.number(0...99))
            self.loops.append(SimulatedLoop(id: id, node: place, view: self.view, limits: self.circumstances.limits))
        }
    }

    /// The view changes, in one of the ways in which it does.
    func shift() {
        let someone = self.chance.pick(self.view.nodes)!
        switch self.chance.number(0...9) {
        case 0 where self.view.nodes.count < 4:
            let newest = self.loops.map(\.id.incarnation).max()!
            let node = View.Node(incarnation: newest + 1, loops: self.chance.number(1...2))
            self.tell("--- node \(self.name(of: node.incarnation)) comes")
            self.publish(self.view.joined(by: node))
            self.start(node)
        case 1...3:
            self.tell("--- node \(self.name(of: someone.incarnation)) \(someone.isDraining ? "stays after all" : "drains")")
            self.publish(self.view.setting(draining: !someone.isDraining, someone.incarnation))
        default:
            self.publish(self.view.step(shards: self.chance.pick([1, 100, 2000, Shard.count])!))
        }
    }

    /// Every loop learns of a view when it does; what the one has learnt the other has not.
    private func publish(_ view: View?) {
        guard let view else { return }
        self.tell("--- view \(view.number): \(view.nodes.map { self.name(of: $0.incarnation) + ($0.isDraining ? " draining" : "") })")
        self.view = view
        for number in self.loops.indices where !self.loops[number].isDead {
            self.agenda.add(.learn(number, view), at: self.now + self.chance.number(0...1500))
        }
        // Cursors that an owner has not written down go with its ownership.
        for conversation in self.conversations { self.historian.fenced(conversation) }
    }

    func learn(_ number: Int, _ view: View) {
        guard !self.loops[number].isDead else { return }
        self.loops[number].chat.follow(view, at: self.moment)
        self.wantTurn(number)
    }

    /// A node is gone between two of its turns, with all that it knew, and its clients are on their own. What it has sent is on its way.
    func killSomebody() {
        let alive = Set(self.loops.filter { !$0.isDead }.map(\.node)).sorted()
        guard alive.count > 1, let node = self.chance.pick(alive) else { return }
        let numbers = self.loops.indices.filter { self.loops[$0].node == node }
        let incarnation = self.loops[numbers[0]].id.incarnation
        self.tell("--- node \(self.name(of: incarnation)) dies")
        for number in numbers {
            self.loops[number].isDead = true
            self.loops[number].questions = [:]
            self.loops[number].listeners = [:]
        }
        for client in self.clients where client.state != .away && numbers.contains(client.loop) {
            client.state = .away
            client.feed = nil
            client.connection += 1
        }
        self.agenda.add(.bury(incarnation), at: self.now + self.chance.number(500...3000))
    }

    /// The others have noticed.
    func bury(_ incarnation: UInt64) {
        self.publish(self.view.without(incarnation))
    }

    private func name(of incarnation: UInt64) -> String { String(incarnation, radix: 36) }
}
