import ChatEngine
import ChatModel
import Cluster
import SeededRandom

/// Nodes that join, drain and crash, and the views that follow.
extension Simulation {
    /// Starts a node. Its shards depend on the view.
    func start(_ node: View.Node) {
        let number = self.loops.last.map { $0.node + 1 } ?? 0
        for loop in 0..<node.loops {
            let id = LoopID(incarnation: node.incarnation, loop: UInt16(loop))
            self.loopNumbers[id] = self.loops.count
            self.queue.add(.tick(self.loops.count), at: self.now + self.random.number(0...99))
            self.loops.append(
                SimulatedLoop(id: id, node: number, view: self.view, limits: self.parameters.limits)
            )
        }
    }

    /// Changes the view in one of the possible ways.
    func changeView() {
        let node = self.random.pick(self.view.nodes)!
        switch self.random.number(0...9) {
        case 0 where self.view.nodes.count < 4:
            self.newestIncarnation += 1
            let node = View.Node(
                incarnation: self.newestIncarnation, loops: self.random.number(1...2))
            self.log("--- node \(self.name(of: node.incarnation)) joins")
            self.publish(self.view.adding(node))
            self.start(node)
        case 1...3:
            self.log(
                "--- node \(self.name(of: node.incarnation)) "
                    + (node.isDraining ? "stops draining" : "drains")
            )
            self.publish(self.view.setting(draining: !node.isDraining, node.incarnation))
        default:
            self.publish(self.view.step(shards: self.random.pick([1, 100, 2000, Shard.count])!))
        }
    }

    /// Starts or stops draining a node, and moves all affected shards at once.
    func handOverShards() {
        let node = self.random.pick(self.view.nodes)!
        self.log(
            "--- node \(self.name(of: node.incarnation)) "
                + "\(node.isDraining ? "takes back" : "hands over") all shards"
        )
        self.publish(self.view.setting(draining: !node.isDraining, node.incarnation))
        self.publish(self.view.step(shards: Shard.count))
    }

    /// Loops learn about a view at different times.
    private func publish(_ view: View?) {
        guard let view else { return }
        let names = view.nodes.map {
            self.name(of: $0.incarnation) + ($0.isDraining ? " draining" : "")
        }
        self.log("--- view \(view.number): \(names)")
        self.view = view
        for number in self.loops.indices where !self.loops[number].isDead {
            self.queue.add(.follow(number, view), at: self.now + self.random.number(0...1500))
        }
        // Cursors that an owner has not stored are lost with its ownership.
        for conversation in self.conversations { self.checker.ownerReplaced(conversation) }
    }

    func follow(_ number: Int, _ view: View) {
        // A loop that is not in the view must rejoin before it follows one.
        guard !self.loops[number].isDead, view.node(self.loops[number].id.incarnation) != nil else {
            return
        }
        self.loops[number].chat.follow(view, at: self.clock(of: number))
        self.scheduleTurn(number)
    }

    /// A node crashes between two turns. Its state is lost, its clients are disconnected, and its
    /// sent envelopes still arrive.
    func killNode() {
        let alive = Set(self.loops.filter { !$0.isDead }.map(\.node)).sorted()
        guard alive.count > 1, let node = self.random.pick(alive) else { return }
        let numbers = self.loops.indices.filter { self.loops[$0].node == node }
        let incarnation = self.loops[numbers[0]].id.incarnation
        self.log("--- node \(self.name(of: incarnation)) crashes")
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
        self.queue.add(.evict(incarnation), at: self.now + self.random.number(500...3000))
    }

    /// The other nodes evict a node, if there are others and it has not resumed by then.
    func evict(_ incarnation: UInt64) {
        let isSilent = self.loops.contains {
            $0.id.incarnation == incarnation && ($0.isDead || self.now < $0.frozenUntil)
        }
        guard self.view.node(incarnation) != nil, isSilent else { return }
        if let view = self.view.removing(incarnation) {
            self.publish(view)
        } else {
            self.queue.add(.evict(incarnation), at: self.now + 500)
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
        let numbers = self.loops.indices.filter { self.loops[$0].node == node }
        let incarnation = self.loops[numbers[0]].id.incarnation
        self.log("--- node \(self.name(of: incarnation)) is frozen for \(time - self.now) ms")
        for number in numbers {
            self.loops[number].frozenUntil = time
            self.loops[number].hasStalled = time - self.now > 1000
        }
        // Clients of the node receive delayed events, which would look like duplicates.
        for conversation in self.conversations { self.checker.ownerReplaced(conversation) }
        guard time > self.now + 3000, alive.count > 1 else { return }
        self.queue.add(.evict(incarnation), at: self.now + 3000)
        self.queue.add(.joinAgain(node), at: time + self.random.number(0...1000))
    }

    /// An evicted node joins under a new incarnation; its loops learn about it one after another.
    func joinAgain(_ node: Int) {
        let numbers = self.loops.indices.filter { self.loops[$0].node == node }
        // It may already be in the view under an incarnation that its loops do not know yet.
        let isInView = self.view.nodes.contains {
            self.loopNumbers[LoopID(incarnation: $0.incarnation, loop: 0)] == numbers[0]
        }
        guard !self.loops[numbers[0]].isDead, !isInView else { return }
        self.newestIncarnation += 1
        let incarnation = self.newestIncarnation
        self.log(
            "--- node \(self.name(of: self.loops[numbers[0]].id.incarnation)) "
                + "rejoins as \(self.name(of: incarnation))"
        )
        self.publish(self.view.adding(View.Node(incarnation: incarnation, loops: numbers.count)))
        for number in numbers {
            let id = LoopID(incarnation: incarnation, loop: self.loops[number].id.loop)
            self.loopNumbers[id] = number
            self.queue.add(
                .rejoin(number, id, self.view), at: self.now + self.random.number(0...100))
        }
    }

    func rejoin(_ number: Int, as id: LoopID, _ view: View) {
        guard !self.loops[number].isDead else { return }
        self.loops[number].id = id
        // A loop with an evicted incarnation may have skipped later views that did not contain it.
        let newest = self.view.node(id.incarnation) == nil ? view : self.view
        self.loops[number].chat.rejoin(as: id, view: newest, at: self.clock(of: number))
        self.scheduleTurn(number)
    }

    /// Sets a node's clock to a wrong time.
    func jumpClock() {
        guard let node = self.random.pick(Array(Set(self.loops.map(\.node))).sorted()) else {
            return
        }
        self.clockErrors[node] = self.random.number(-7_200_000...7_200_000)
        self.log("--- the clock of node \(node) is off by \(self.clockErrors[node]!) ms")
    }

    private func name(of incarnation: UInt64) -> String { String(incarnation, radix: 36) }
}
