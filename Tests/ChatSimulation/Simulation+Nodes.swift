import ChatEngine
import ChatModel
import Cluster
import SeededRandom

/// Nodes that join, drain, crash and freeze.
extension Simulation {
    /// A node joins, drains or stays.
    func changeView() {
        let nodes = self.nodes.indices.filter { !self.nodes[$0].isDead }
        guard self.random.happens(perMille: 250), nodes.count < 4 else {
            return self.changeDraining(of: self.random.pick(nodes)!)
        }
        self.newestIncarnation += 1
        self.log("--- node \(self.name(of: self.newestIncarnation)) starts")
        self.start(
            View.Node(incarnation: self.newestIncarnation, loops: self.random.number(1...2)))
    }

    /// Starts or stops draining a node.
    private func changeDraining(of number: Int) {
        let isDraining = !self.nodes[number].membership.isDrainRequested
        self.log("--- node \(number) \(isDraining ? "drains" : "stops draining")")
        self.nodes[number].membership.setDraining(isDraining)
    }

    /// Moves shards from one node to the others, or back.
    func handOverShards() {
        self.changeDraining(
            of: self.random.pick(self.nodes.indices.filter { !self.nodes[$0].isDead })!)
    }

    /// A node crashes between two turns. Its state is lost, its clients are disconnected, and its
    /// sent envelopes still arrive.
    func killNode() {
        let alive = Set(self.loops.filter { !$0.isDead }.map(\.node)).sorted()
        guard alive.count > 1, let node = self.random.pick(alive) else { return }
        let numbers = self.loops.indices.filter { self.loops[$0].node == node }
        self.log("--- node \(node) crashes")
        self.nodes[node].isDead = true
        for number in numbers {
            self.loops[number].isDead = true
            self.loops[number].requests = [:]
            self.loops[number].subscribers = [:]
        }
        for client in self.clients where client.state != .offline && numbers.contains(client.loop) {
            client.state = .offline
            client.feed = nil
            client.connection += 1
        }
    }

    /// Freezes a node. After three seconds the other nodes evict it; then it resumes without
    /// knowing that.
    func freezeNode() {
        let alive = Set(self.loops.filter { !$0.isDead && self.now >= $0.frozenUntil }.map(\.node))
            .sorted()
        guard let node = self.random.pick(alive) else { return }
        let time =
            self.now
            + min(
                self.random.number(200...20_000),
                max(1, self.start + self.parameters.calmAfter - 2500 - self.now))
        self.log("--- node \(node) is frozen for \(time - self.now) ms")
        for number in self.loops.indices where self.loops[number].node == node {
            self.loops[number].frozenUntil = time
            self.loops[number].hasStalled = time - self.now > 1000
        }
        // Clients of the node receive delayed events, which would look like duplicates.
        for conversation in self.conversations { self.checker.ownerReplaced(conversation) }
    }

    /// Sets a node's clock to a wrong time.
    func jumpClock() {
        guard let node = self.random.pick(Array(Set(self.loops.map(\.node))).sorted()) else {
            return
        }
        self.clockErrors[node] = self.random.number(-7_200_000...7_200_000)
        self.log("--- the clock of node \(node) is off by \(self.clockErrors[node]!) ms")
    }
}
