import Bytes

/// The proposals of a node, in the order of their urgency.
extension ClusterMembership {
    /// Returns the first of these that applies:
    ///
    /// 1. Restore: Redis lost the view or its number, and nodes follow a view that it lacks.
    /// 2. Join: the stored view lacks this node. Everything below is for a node of the view.
    /// 3. Renumber: two masters gave the same number to different views.
    /// 4. Leave: this process ends. Whatever else is due is left to the other nodes.
    /// 5. Evict a dead node, before the shards move: none must move to it.
    /// 6. Drain, or stop draining.
    /// 7. Move some shards to where they belong.
    mutating func nextProposal(at now: Int64) -> Proposal? {
        guard let stored = self.storedView, !self.hasRedisLost(stored) else {
            return self.restoration(at: now)
        }
        guard stored.node(self.localNode.incarnation) != nil else {
            return self.joining(stored, at: now)
        }
        return self.renumbering(stored) ?? self.leaving(stored) ?? self.eviction(
            from: stored, at: now)
            ?? self.draining(in: stored) ?? self.move(in: stored, at: now)
    }

    // MARK: Lost views

    /// Whether Redis has an older view than this node follows, or than others followed before the
    /// last answered heartbeat, or has views but no current number. A proposal that replaces the
    /// newest view would be rejected forever.
    private func hasRedisLost(_ stored: View) -> Bool {
        stored.number < self.view?.number ?? 0 || self.isNumberLost
            || (stored.number < self.answeredHeartbeat.newestNumberSeen && stored == self.view)
    }

    private var isNumberLost: Bool {
        self.storedView.map { $0.number != self.storedNumber } ?? false
    }

    private func restoration(at now: Int64) -> Proposal? {
        if self.intent == .leave || !self.mayJoin(at: now) { return nil }
        // A node in the view is known to be alive under its name. A joining node must hold its name
        // alone.
        if self.view?.node(self.localNode.incarnation) == nil, !self.name.isHeld { return nil }
        if self.isNumberLost, let stored = self.storedView,
            stored.node(self.localNode.incarnation) == nil
        {
            return self.makeProposal(
                stored.adding(self.localNode), .joins, replacing: self.storedNumber)
        }
        let view = self.view.map {
            $0.node(self.localNode.incarnation) == nil
                ? View(number: $0.number, nodes: [self.localNode]) : $0
        }
        guard let view else {
            // The first node ever, or the first one after all nodes have left.
            return self.makeProposal(
                View(number: self.storedNumber + 1, nodes: [self.localNode]), .joins,
                replacing: self.storedNumber)
        }
        let above = max(self.storedNumber, self.answeredHeartbeat.newestNumberSeen)
        return self.makeProposal(
            view.renumbered(above: above), .restores, replacing: self.storedNumber)
    }

    private func renumbering(_ stored: View) -> Proposal? {
        guard stored.number == self.view?.number, stored != self.view else { return nil }
        return self.makeProposal(
            stored.renumbered(above: self.answeredHeartbeat.newestNumberSeen), .restores,
            replacing: self.storedNumber)
    }

    // MARK: This node

    private func joining(_ stored: View, at now: Int64) -> Proposal? {
        guard self.intent != .leave, self.mayJoin(at: now), self.name.isHeld else { return nil }
        return self.makeProposal(stored.adding(self.localNode), .joins)
    }

    /// A joining node must be able to receive messages, and its heartbeat must have been answered.
    private func mayJoin(at now: Int64) -> Bool {
        self.receivesOwnProbe(at: now)
            && self.answeredHeartbeat.incarnation == self.localNode.incarnation
    }

    private func receivesOwnProbe(at now: Int64) -> Bool {
        now - Self.unreachableTimeout <= self.probeReturnedAt
    }

    private func leaving(_ stored: View) -> Proposal? {
        guard self.intent == .leave else { return nil }
        let view = stored.removing(self.localNode.incarnation)
        return Proposal(
            view: view, replacing: stored.number, reason: .leaves,
            incarnation: self.localNode.incarnation, moves: view?.moves(since: stored) ?? [],
            age: nil)
    }

    private mutating func draining(in stored: View) -> Proposal? {
        if self.intent == .drain(isForced: false), !self.isDrainStored,
            !self.othersAcceptClients(in: stored)
        {
            self.intent = .serve(isDrainRefused: true)
        }
        return stored.setting(draining: self.isDrainRequested, self.localNode.incarnation).map {
            self.makeProposal($0, self.isDrainRequested ? .drains : .stays)
        }
    }

    /// Whether another live node of the view accepts clients.
    private func othersAcceptClients(in view: View) -> Bool {
        view.nodes.contains {
            $0.incarnation != self.localNode.incarnation && !$0.isDraining && self.isLive($0)
        }
    }

    private func isLive(_ node: View.Node) -> Bool {
        self.heartbeatAges[node.incarnation, default: 0] < Self.unreachableTimeout
    }

    // MARK: Other nodes

    private func eviction(from stored: View, at now: Int64) -> Proposal? {
        guard let evicted = self.nodeToEvict(at: now),
            let view = stored.removing(evicted.incarnation)
        else { return nil }
        return Proposal(
            view: view, replacing: stored.number, reason: .dies, incarnation: evicted.incarnation,
            moves: view.moves(since: stored), age: evicted.age)
    }

    private func nodeToEvict(at now: Int64) -> (incarnation: UInt64, age: Int64)? {
        guard let connectedAt = self.connectedAt, now - connectedAt >= Self.evictionTimeout,
            self.receivesOwnProbe(at: now)
        else { return nil }
        // Until the next heartbeat, the ages still contain a node that was just removed.
        for (incarnation, age) in self.heartbeatAges.sorted(by: { $0.key < $1.key })
        where self.storedView?.node(incarnation) != nil {
            if age >= Self.evictionTimeout { return (incarnation, Self.evictionTimeout) }
            if age >= Self.unreachableTimeout, let since = self.unreachableSince[incarnation],
                now - since >= Self.unreachableTimeout
            {
                return (incarnation, Self.unreachableTimeout)
            }
        }
        return nil
    }

    /// The first live node moves the shards. If two nodes consider themselves first, the faster
    /// proposal wins.
    private mutating func move(in stored: View, at now: Int64) -> Proposal? {
        let first = stored.nodes.first { self.isLive($0) }
        guard first?.incarnation == self.localNode.incarnation, now >= self.nextStep,
            let view = stored.step(shards: Self.stepShards)
        else { return nil }
        self.nextStep = now + Self.stepPeriod
        var proposal = self.makeProposal(view, .moves)
        proposal.moves = stored.completedMoves
        proposal.isStep = proposal.moves.isEmpty
        return proposal
    }

    private func makeProposal(_ view: View, _ reason: Reason, replacing: Int? = nil) -> Proposal {
        Proposal(
            view: view, replacing: replacing ?? view.number - 1, reason: reason,
            incarnation: self.localNode.incarnation, age: nil)
    }
}
