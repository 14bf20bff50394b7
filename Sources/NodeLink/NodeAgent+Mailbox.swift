import ChatEngine
import Cluster
import ClusterWire
import EventLoop
import RedisClient
import Telemetry

/// The node's mailbox: its subscription, its messages and its health.
extension NodeAgent: RedisSubscriberUser {
    func subscribeToMailbox() {
        self.state.with { state in
            guard let subscriber = state.subscriber,
                let move = state.mailbox.move(
                    to: state.membership.localNode.incarnation, at: Self.now)
            else { return }
            if let old = move.old { subscriber.unsubscribe(from: self.redisKeys.mailbox(old)) }
            subscriber.subscribe(to: self.redisKeys.mailbox(move.new))
        }
    }

    func redisSubscribed(to channel: UnsafeRawBufferPointer) {
        self.state.with { $0.subscribeProblem = nil }
        // Messages that were published without a subscription are lost; their repair starts at
        // once.
        if self.state.with({ $0.mailbox.subscribed(at: Self.now) }) {
            self.receiver.messagesMayBeLost()
        }
    }

    func redisPublished(_ payload: UnsafeRawBufferPointer, in channel: UnsafeRawBufferPointer) {
        let ownIncarnation = self.state.with { $0.membership.localNode.incarnation }
        let now = Self.now
        do throws(NodePacketError) {
            guard !ControlMessage.isControlMessage(payload.bytes) else {
                return self.receive(
                    try ControlMessage(payload.bytes, for: ownIncarnation, key: self.settings.key))
            }
            let packet = try self.state.with { state throws(NodePacketError) in
                try NodePacket(
                    payload.bytes, for: ownIncarnation, key: self.settings.key,
                    interning: &state.knownKeys)
            }
            for envelope in packet.envelopes { self.receiver.receive(envelope) }
            self.state.with { state in
                if packet.from == ownIncarnation {
                    state.mailbox.probeReturned(at: now)
                    state.membership.probeReturned(at: now)
                } else if packet.envelopes.isEmpty {
                    state.membership.viewAnnounced(at: now)
                }
            }
            if packet.envelopes.isEmpty, packet.from != ownIncarnation {
                self.perform { $0.membership.tick(at: now) }
            }
        } catch {
            self.logger.warning("packet rejected", ["reason": .text(error.description)])
        }
    }

    func redisSubscriberChanged(_ state: RedisClient.State) {
        guard case .unavailable(.refused(let error)) = state else { return }
        self.recordLinkProblem(error, self.subscribeCommand, at: \.subscribeProblem)
    }

    /// A node whose probes do not return receives no messages. It subscribes again, and reports a
    /// problem until they return.
    func checkMailbox(at now: Int64) {
        let (change, problem, hasProblemChanged) = self.state.with { state in
            if case .ready? = state.subscriber?.state, case .ready? = state.client?.state,
                state.mailbox.mustResubscribe(at: now)
            {
                state.subscriber?.reconnect()
            }
            let change = state.mailbox.healthChange(at: now)
            let problem =
                state.mailbox.isHealthy
                ? nil : state.linkProblem ?? "the node receives no messages from Redis Pub/Sub"
            defer { state.reportedLinkProblem = problem }
            return (change, problem, problem != state.reportedLinkProblem)
        }
        if change != nil || hasProblemChanged { self.receiver.linkProblemChanged(problem) }
        guard let isHealthy = change else { return }
        if isHealthy {
            self.logger.info("messages from redis resumed")
        } else {
            self.logger.warning("messages from redis missing")
        }
    }
}
