import Cluster
import ClusterWire
import EventLoop
import RedisClient
import Telemetry

/// The node's mailbox: its subscription, its messages and its health.
extension NodeAgent: RedisSubscriberUser {
    func subscribeToMailbox() {
        self.state.with { body in
            guard let subscriber = body.subscriber,
                let move = body.mailbox.move(
                    to: body.membership.localNode.incarnation, at: Self.now)
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
        let me = self.state.with { $0.membership.localNode.incarnation }
        let now = Self.now
        do throws(NodePacketError) {
            guard !ControlMessage.isControlMessage(payload.bytes) else {
                return self.receive(
                    try ControlMessage(payload.bytes, for: me, key: self.settings.key))
            }
            let parcel = try self.state.with { body throws(NodePacketError) in
                try NodePacket(
                    payload.bytes, for: me, key: self.settings.key, interning: &body.knownKeys)
            }
            for envelope in parcel.envelopes { self.receiver.receive(envelope) }
            self.state.with { body in
                if parcel.from == me {
                    body.mailbox.probeReturned(at: now)
                    body.membership.probeReturned(at: now)
                } else if parcel.envelopes.isEmpty {
                    body.membership.viewAnnounced(at: now)
                }
            }
            if parcel.envelopes.isEmpty, parcel.from != me {
                self.perform { $0.membership.tick(at: now) }
            }
        } catch {
            self.logger.warning("mail refused", ["reason": .text(error.description)])
        }
    }

    func redisSubscriberChanged(_ state: RedisClient.State) {
        guard case .unavailable(.refused(let error)) = state else { return }
        self.recordLinkProblem(error, self.subscribeCommand, at: \.subscribeProblem)
    }

    /// A node whose probes do not return receives no messages. It subscribes again, and reports a
    /// problem until they return.
    func checkMailbox(at now: Int64) {
        let (change, problem, isOtherProblem) = self.state.with { body in
            if case .ready? = body.subscriber?.state, case .ready? = body.client?.state,
                body.mailbox.mustResubscribe(at: now)
            {
                body.subscriber?.reconnect()
            }
            let change = body.mailbox.healthChange(at: now)
            let problem =
                body.mailbox.isHealthy
                ? nil : body.linkProblem ?? "the node does not hear its own mailbox in Redis"
            defer { body.reportedLinkProblem = problem }
            return (change, problem, problem != body.reportedLinkProblem)
        }
        if change != nil || isOtherProblem { self.receiver.linkProblemChanged(problem) }
        guard let isGood = change else { return }
        if isGood {
            self.logger.info("mail flows again")
        } else {
            self.logger.warning("mail does not flow")
        }
    }
}
