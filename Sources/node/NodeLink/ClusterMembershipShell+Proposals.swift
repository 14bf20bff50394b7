import Bytes
import Cluster
import ClusterWire
import EventLoop
import RedisClient
import Telemetry

/// Proposals of views, and the records of the nodes in a view.
extension ClusterMembershipShell {
    func propose(_ proposal: ClusterMembership.Proposal) {
        let text = proposal.view?.text ?? ""
        let hash = HeartbeatExchange.hash(text)
        let isSent = self.state.with { state in
            self.redis.send(slot: RedisSlot(key: self.redisKeys.view)) { command in
                command.append(LinkScripts.propose, keyCount: 5)
                command.append(text: self.redisKeys.view)
                command.append(text: self.redisKeys.views)
                command.append(text: self.redisKeys.events)
                let isEviction = proposal.reason == .dies
                command.append(
                    text: isEviction
                        ? self.redisKeys.node(proposal.incarnation)
                        : self.redisKeys.holder(of: state.record.name))
                command.append(text: self.redisKeys.copy)
                command.append(proposal.replacing)
                command.append(proposal.number)
                command.append(text: text)
                command.append(text: hash)
                command.append(LinkScripts.viewLimit)
                command.append(text: proposal.reason.rawValue)
                command.append(text: ClusterRedisKeys.text(proposal.incarnation))
                command.append(proposal.age ?? 0)
                let isOwn = proposal.incarnation == state.membership.localNode.incarnation
                command.append(
                    text: isOwn
                        ? state.record.name
                        : state.peerDirectory.name(of: proposal.incarnation) ?? "")
                command.append(text: state.heartbeats.process)
                command.append(
                    text: proposal.detail { node in
                        node == state.membership.localNode.incarnation
                            ? state.record.name : state.peerDirectory.name(of: node)
                    })
            } completion: {
                self.proposalCompleted($0, hash: hash)
            }
        }
        if !isSent {
            self.state.with {
                _ = $0.membership.proposalDecided(isAccepted: false, at: NodeAgent.now)
            }
        }
    }

    private func proposalCompleted(_ result: Result<RedisReply, RedisError>, hash: String) {
        let now = NodeAgent.now
        switch result {
        case .success(let reply):
            let isAccepted = reply.integer == 1
            if isAccepted {
                let proposal = self.state.with { state in
                    state.heartbeats.stored(hash)
                    return state.membership.proposal
                }
                if let proposal { self.log(proposal: proposal) }
            }
            self.perform { $0.proposalDecided(isAccepted: isAccepted, at: now) }
            // Without delay: until this is known, a crashed node is shown as suspect.
            self.fetchPeerRecords(at: now)
        case .failure(let error):
            self.problems.stateNotStored(error)
            self.perform { $0.proposalDecided(isAccepted: false, at: now) }
        }
    }

    /// Reads the records of nodes whose record is unknown.
    func fetchPeerRecords(at now: Int64) {
        let missing = self.state.with {
            $0.peerDirectory.follow(
                $0.membership.storedView, suspects: $0.membership.suspects, at: now)
        }
        for node in missing {
            let isSent = self.redis.send(slot: RedisSlot(key: self.redisKeys.view)) { command in
                command.append("HGET")
                command.append(text: self.redisKeys.node(node))
                command.append("record")
            } completion: {
                self.peerRecordFetched($0, of: node)
            }
            if !isSent { self.state.with { $0.peerDirectory.fetchFailed(of: node) } }
        }
    }

    private func peerRecordFetched(_ result: Result<RedisReply, RedisError>, of node: UInt64) {
        let discovered: NodeRecord? = self.state.with { state in
            guard let reply = try? result.get(), reply.kind == .string || reply.isNull else {
                state.peerDirectory.fetchFailed(of: node)
                return nil
            }
            let record = reply.isNull ? nil : try? NodeRecord(text: reply.string)
            let isNew = state.peerDirectory.name(of: node) == nil
            state.peerDirectory.recordFetched(record, of: node, at: NodeAgent.now)
            return isNew && node != state.membership.localNode.incarnation ? record : nil
        }
        guard let discovered else { return }
        self.logger.info(
            "peer discovered",
            [
                "node": .text(discovered.name),
                "incarnation": .text(ClusterRedisKeys.text(node)),
                "address": .text(discovered.address), "version": .text(discovered.version),
            ])
    }

    // MARK: Log

    /// Joining and leaving nodes are logged at a higher level than moved shards.
    func log(view: View) {
        let change = self.state.with { state in
            let before = Set(state.loggedNodes.map(\.incarnation))
            let after = Set(view.nodes.map(\.incarnation))
            defer { state.loggedNodes = view.nodes }
            func names(_ nodes: Set<UInt64>) -> String? {
                let names = nodes.map { state.name(of: $0) }.sorted()
                return names.isEmpty ? nil : names.joined(separator: " ")
            }
            return (
                isNew: state.loggedNodes != view.nodes, joined: names(after.subtracting(before)),
                left: names(before.subtracting(after))
            )
        }
        guard change.isNew else {
            self.logger.debug(
                "view followed",
                ["number": LogValue(view.number), "nodes": LogValue(view.nodes.count)])
            return
        }
        self.logger.info(
            "view followed",
            [
                "number": LogValue(view.number), "nodes": LogValue(view.nodes.count),
                "joined": .optional(change.joined), "left": .optional(change.left),
            ])
    }

    /// Logs the change of the view that this node has made.
    private func log(proposal: ClusterMembership.Proposal) {
        let fields: LogFields = [
            "node": .text(self.state.with { $0.name(of: proposal.incarnation) }),
            "incarnation": .text(ClusterRedisKeys.text(proposal.incarnation)),
            "view": LogValue(proposal.number),
        ]
        switch proposal.reason {
        case .joins: self.logger.info("node joined", fields)
        case .dies:
            self.logger.warning(
                "node evicted",
                [
                    "node": fields[0].value, "incarnation": fields[1].value,
                    "view": fields[2].value, "reason": "lease_expired",
                    "silent": LogValue(.milliseconds(proposal.age ?? 0)),
                ])
        case .leaves: self.logger.info("node left", fields)
        case .drains: self.logger.info("node draining", fields)
        case .stays: self.logger.info("node resumed", fields)
        case .restores: self.logger.info("view restored", fields)
        case .moves: self.logger.debug("shards moved", fields)
        }
    }
}

extension ClusterMembershipShell.State {
    /// The node's name for operators, or its incarnation while the name is unknown.
    fileprivate func name(of node: UInt64) -> String {
        if node == self.membership.localNode.incarnation { return self.record.name }
        return self.peerDirectory.name(of: node) ?? ClusterRedisKeys.text(node)
    }
}

extension ClusterMembership.Proposal {
    /// The detail of the event that this proposal becomes; empty if it becomes none.
    ///
    /// - Parameter name: returns a node's name for operators; nil if it is unknown.
    func detail(naming name: (UInt64) -> String?) -> String {
        func named(_ node: UInt64) -> String { name(node) ?? "a node without a record" }
        func list(_ text: (View.Move) -> String) -> String {
            self.moves.map(text).joined(separator: ", ")
        }
        let count = self.moves.map(\.shards).reduce(0, +)
        let receivers = list { "\($0.shards) to \(named($0.to))" }
        switch self.reason {
        case .joins: return "the node joined and gets its share of the shards"
        case .dies:
            let silence = "no heartbeat for \((self.age ?? 0) / 1000) s"
            return count == 0 ? silence : "\(silence); its shards moved: \(receivers)"
        case .moves:
            let pairs = list { "\($0.shards) from \(named($0.from)) to \(named($0.to))" }
            return self.isStep ? "" : "\(count) shards moved: \(pairs)"
        // The operator's drain and resume are events, and so is the end of a stopped node.
        case .drains, .stays: return ""
        case .leaves:
            return count == 0 ? "the node stopped" : "the node stopped; shards moved: \(receivers)"
        case .restores: return "Redis had lost the list of nodes; this node stored it again"
        }
    }
}
