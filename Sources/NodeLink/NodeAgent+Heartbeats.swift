import Bytes
import Cluster
import ClusterWire
import EventLoop
import RedisClient
import Telemetry

/// Heartbeats and proposals: their commands to Redis, and the replies.
extension NodeAgent {
    func sendHeartbeat() {
        self.state.with { state in
            guard let client = state.client else { return }
            let ownIncarnation = state.membership.localNode.incarnation
            state.record.incarnation = ownIncarnation
            let known = state.membership.storedView
            state.queriedNodes = (known?.nodes ?? []).map(\.incarnation).filter {
                $0 != ownIncarnation
            }
            do throws(RedisError) {
                try client.command(tag: Tag.heartbeat, slot: RedisSlot(key: self.redisKeys.view)) {
                    command in
                    command.append(LinkScripts.heartbeat, keyCount: 4 + state.queriedNodes.count)
                    command.append(text: self.redisKeys.view)
                    command.append(text: self.redisKeys.views)
                    command.append(text: self.redisKeys.node(ownIncarnation))
                    command.append(text: self.redisKeys.holder(of: state.record.name))
                    for node in state.queriedNodes {
                        command.append(text: self.redisKeys.node(node))
                    }
                    command.append(known?.number ?? 0)
                    command.append(text: state.knownHash)
                    command.append(text: state.record.text)
                    command.append(LinkScripts.recordMilliseconds)
                    command.append(
                        text: state.membership.mayHoldName(at: Self.now) ? self.process : "")
                    command.append(LinkScripts.nameMilliseconds)
                }
                if state.mailbox.incarnation == ownIncarnation {
                    state.publisher?.probe(from: ownIncarnation, to: ownIncarnation, tag: Tag.probe)
                }
            } catch {
                state.membership.heartbeatFailed(at: Self.now)
            }
        }
    }

    func propose(_ proposal: Membership.Proposal) {
        self.state.with { state in
            guard let client = state.client else { return }
            let text = proposal.view?.text ?? ""
            state.proposedHash = Self.hash(text)
            do throws(RedisError) {
                try client.command(tag: Tag.propose, slot: RedisSlot(key: self.redisKeys.view)) {
                    command in
                    command.append(LinkScripts.propose, keyCount: 4)
                    command.append(text: self.redisKeys.view)
                    command.append(text: self.redisKeys.views)
                    command.append(text: self.redisKeys.events)
                    let isEviction = proposal.reason == .dies
                    command.append(
                        text: isEviction
                            ? self.redisKeys.node(proposal.incarnation)
                            : self.redisKeys.holder(of: state.record.name))
                    command.append(proposal.replacing)
                    command.append(proposal.number)
                    command.append(text: text)
                    command.append(text: state.proposedHash)
                    command.append(LinkScripts.viewLimit)
                    command.append(text: proposal.reason.rawValue)
                    command.append(text: ClusterRedisKeys.text(proposal.incarnation))
                    command.append(proposal.age ?? 0)
                    let isOwn = proposal.incarnation == state.membership.localNode.incarnation
                    command.append(
                        text: isOwn
                            ? state.record.name
                            : state.peerDirectory.name(of: proposal.incarnation) ?? "")
                    command.append(text: self.process)
                }
            } catch {
                _ = state.membership.proposalDecided(isAccepted: false, at: Self.now)
            }
        }
    }

    /// Distinguishes this process from others with its node name, in all its incarnations.
    private var process: String { ClusterRedisKeys.text(self.settings.record.incarnation) }

    private static func hash(_ text: String) -> String {
        String(StableHash.of(ByteString(text)), radix: 36)
    }

    /// Nil if the stored view is unreadable; then this is logged, and nothing else happens.
    func heartbeatReply(_ reply: RedisReply) -> Membership.HeartbeatReply? {
        guard let time = reply[0]?.integer, let number = reply[1]?.integer, let texts = reply[2],
            let heartbeats = reply[3]
        else { return nil }
        var views: [View] = []
        var newest = ""
        do throws(PersistentTextError) {
            for text in texts.elements {
                newest = text.string
                views.append(try View(text: newest))
            }
        } catch {
            self.recordProblem("view unreadable", error.description)
            return nil
        }
        let holder = reply[4]?.string ?? ""
        self.recordNameHolder(holder == self.process || holder.isEmpty ? nil : holder)
        return self.state.with { state in
            state.recordsProblem = nil
            if !newest.isEmpty { state.knownHash = Self.hash(newest) }
            var ages: [UInt64: Int64] = [:]
            for (node, heartbeat) in zip(state.queriedNodes, heartbeats.elements) {
                ages[node] = heartbeat.integer
            }
            return Membership.HeartbeatReply(
                time: time, number: Int(number), views: views, heartbeats: ages,
                holdsName: holder == self.process)
        }
    }

    /// Logs changes of the holder.
    private func recordNameHolder(_ holder: String?) {
        let (before, isJoined) = self.state.with { state in
            defer { state.nameHolder = holder }
            return (
                state.nameHolder,
                state.membership.view?.node(state.membership.localNode.incarnation) != nil
            )
        }
        guard before != holder else { return }
        let fields: LogFields = [
            "name": .text(self.settings.record.name), "process": .text(holder ?? self.process),
        ]
        if holder == nil {
            self.logger.info("node name released", fields)
        } else if isJoined {
            self.logger.warning("node name used by another node", fields)
        } else {
            self.logger.warning(
                "node name in use, waiting for its lease to expire", fields)
        }
    }
}
