import ChatEngine
import ChatModel
import Cluster
import SeededRandom

/// A node's part in the cluster.
struct SimulatedMember {
    var membership: ClusterMembership
    /// Connections to the store before this one: their replies are lost.
    var reconnects = 0
    var isDead = false
}

/// The requests of the nodes' memberships to the store, and what follows from the replies.
extension Simulation {
    enum ClusterMembershipRequest {
        case heartbeat(UInt64, knowing: View?)
        case proposal(ClusterMembership.Proposal)
    }

    enum ClusterMembershipReply {
        case heartbeat(ClusterMembership.HeartbeatReply)
        case heartbeatFailed
        case proposalDecided(isAccepted: Bool)
    }

    /// - Parameters:
    ///   - node: a node with an incarnation that no other has or had.
    ///   - view: what its loops follow at first; without one they start when it has joined.
    func start(_ node: View.Node, following view: View? = nil) {
        var membership = ClusterMembership(node)
        membership.connected(at: self.now)
        self.nodes.append(SimulatedMember(membership: membership))
        let number = self.nodes.count - 1
        if let view { self.follow(view, on: number) }
        self.queue.add(.nodeTick(number), at: self.now + self.random.number(0...99))
    }

    func nodeTick(_ number: Int) {
        guard !self.nodes[number].isDead else { return }
        if self.store.failure != .everything {
            self.nodes[number].membership.probeReturned(at: self.now)
        }
        self.execute(self.nodes[number].membership.tick(at: self.now), by: number)
        self.queue.add(.nodeTick(number), at: self.now + 100)
    }

    private func execute(_ directives: [ClusterMembership.Directive], by number: Int) {
        for directive in directives {
            switch directive {
            case .sendHeartbeat:
                let membership = self.nodes[number].membership
                self.send(
                    .heartbeat(
                        membership.localNode.incarnation, knowing: membership.storedView),
                    of: number)
            case .propose(let proposal): self.send(.proposal(proposal), of: number)
            case .follow(let view): self.follow(view, on: number)
            case .rejoin(let incarnation, let view):
                self.rejoin(number, as: incarnation, view)
            case .probe(let incarnation):
                let hasSubscriber = self.nodes.contains {
                    !$0.isDead && $0.membership.localNode.incarnation == incarnation
                }
                self.nodes[number].membership.mailbox(
                    of: incarnation, hasSubscriber: hasSubscriber, at: self.now)
            case .announceView:
                for other in self.nodes.indices where other != number {
                    self.queue.add(
                        .viewAnnounced(other),
                        at: self.now + self.random.number(self.parameters.delay))
                }
            }
        }
    }

    func viewAnnounced(to number: Int) {
        guard !self.nodes[number].isDead else { return }
        self.nodes[number].membership.viewAnnounced(at: self.now)
    }

    func nodeReconnected(_ number: Int) {
        guard !self.nodes[number].isDead else { return }
        self.nodes[number].reconnects += 1
        self.nodes[number].membership.disconnected()
        self.nodes[number].membership.connected(at: self.now)
    }

    // MARK: The store

    private func send(_ request: ClusterMembershipRequest, of number: Int) {
        self.queue.add(
            .membershipRequest(number, request, self.nodes[number].reconnects),
            at: self.now + self.registryDelay())
    }

    /// A step of a move waits for its answer, so slow answers would delay it beyond the calm.
    private func registryDelay() -> Int64 {
        min(30, self.random.number(self.parameters.storeDelay))
    }

    func execute(_ request: ClusterMembershipRequest, of number: Int, connection: Int) {
        let isFailing = self.store.failure != .none
        let reply: ClusterMembershipReply
        switch request {
        case .heartbeat(let incarnation, let known):
            reply =
                isFailing
                ? .heartbeatFailed
                : .heartbeat(
                    self.store.withRegistry(of: number) {
                        $0.heartbeat(of: incarnation, knowing: known, at: self.now)
                    })
        case .proposal(let proposal):
            // A proposal that failed may be stored all the same.
            let isExecuted = !isFailing || self.random.happens(perMille: 300)
            let isAccepted =
                isExecuted
                && self.store.withRegistry(of: number) { $0.store(proposal, at: self.now) }
            if isAccepted { self.accepted(proposal) }
            reply = .proposalDecided(isAccepted: isAccepted && !isFailing)
        }
        self.queue.add(
            .membershipReply(number, reply, connection), at: self.now + self.registryDelay())
    }

    private func accepted(_ proposal: ClusterMembership.Proposal) {
        let names = proposal.view?.nodes.map {
            self.name(of: $0.incarnation) + ($0.isDraining ? " draining" : "")
        }
        self.log(
            "--- view \(proposal.number): \(self.name(of: proposal.incarnation)) "
                + "\(proposal.reason.rawValue), \(names ?? [])")
        // Cursors that an owner has not stored are lost with its ownership.
        for conversation in self.conversations { self.checker.ownerReplaced(conversation) }
    }

    func receive(_ reply: ClusterMembershipReply, by number: Int, connection: Int) {
        guard !self.nodes[number].isDead, self.nodes[number].reconnects == connection else {
            return
        }
        switch reply {
        case .heartbeat(let reply):
            self.execute(self.nodes[number].membership.receive(reply, at: self.now), by: number)
        case .heartbeatFailed: self.nodes[number].membership.heartbeatFailed(at: self.now)
        case .proposalDecided(let isAccepted):
            self.execute(
                self.nodes[number].membership.proposalDecided(
                    isAccepted: isAccepted, at: self.now), by: number)
        }
    }

    // MARK: Loops

    /// The loops of a node learn about a view at different times.
    private func follow(_ view: View, on number: Int) {
        let loops = self.loops.indices.filter { self.loops[$0].node == number }
        for loop in loops { self.queue.add(.follow(loop, view), at: self.orderedTime(of: loop)) }
        guard loops.isEmpty else { return }
        let node = self.nodes[number].membership.localNode
        for index in 0..<node.loops {
            let id = LoopID(incarnation: node.incarnation, loop: UInt16(index))
            self.loopNumbers[id] = self.loops.count
            self.queue.add(.tick(self.loops.count), at: self.now + self.random.number(0...99))
            self.loops.append(
                SimulatedLoop(id: id, node: number, view: view, limits: self.parameters.limits))
        }
    }

    private func orderedTime(of loop: Int) -> Int64 {
        let time = max(self.loops[loop].followsAt, self.now + self.random.number(0...100))
        self.loops[loop].followsAt = time
        return time
    }

    func follow(_ number: Int, _ view: View) {
        // A loop that is not in the view must rejoin before it follows one.
        guard !self.loops[number].isDead, view.node(self.loops[number].id.incarnation) != nil else {
            return
        }
        self.loops[number].chat.follow(view, at: self.clock(of: number))
        self.scheduleTurn(number)
    }

    /// An evicted node continues under another incarnation; its loops learn about it one after
    /// another.
    private func rejoin(_ number: Int, as incarnation: UInt64, _ view: View) {
        for loop in self.loops.indices where self.loops[loop].node == number {
            let id = LoopID(incarnation: incarnation, loop: self.loops[loop].id.loop)
            self.loopNumbers[id] = loop
            self.queue.add(.rejoin(loop, id, view), at: self.orderedTime(of: loop))
        }
    }

    func rejoin(_ number: Int, as id: LoopID, _ view: View) {
        guard !self.loops[number].isDead else { return }
        let newest = self.nodes[self.loops[number].node].membership.view
        // The node may have been evicted again.
        guard let newest, newest.node(id.incarnation) != nil else { return }
        self.log("--- \(self.loops[number].id) rejoins as \(id)")
        self.loops[number].id = id
        self.loops[number].chat.rejoin(as: id, view: newest, at: self.clock(of: number))
        self.scheduleTurn(number)
    }

    /// An envelope or a refused claim may name a view that the node does not know.
    func reportView(of number: Int) {
        let newest = self.loops[number].chat.newestViewNumber
        self.nodes[self.loops[number].node].membership.viewMentioned(number: newest, at: self.now)
    }

    // MARK: Checks

    /// After the calm all nodes follow the same view. It has exactly the nodes that live, and each
    /// shard is where it belongs.
    func checkMembership() {
        let view = self.store.withRegistry(of: 0) { $0.view }
        let alive = Set(
            self.nodes.filter { !$0.isDead }.map(\.membership.localNode.incarnation))
        self.checker.expect(
            Set(view?.nodes.map(\.incarnation) ?? []) == alive,
            "the view has the nodes \(view?.nodes.map { self.name(of: $0.incarnation) } ?? []), "
                + "but \(alive.map { self.name(of: $0) }.sorted()) live")
        self.checker.expect(
            view?.isRebalanced == true || view?.nodes.allSatisfy(\.isDraining) == true,
            "the shards are not where they belong")
        for node in self.nodes where !node.isDead {
            self.checker.expect(
                node.membership.view == view,
                "\(self.name(of: node.membership.localNode.incarnation)) follows view "
                    + "\(node.membership.view?.number ?? 0) instead of \(view?.number ?? 0)")
        }
    }

    func name(of incarnation: UInt64) -> String { String(incarnation, radix: 36) }
}
