import Bytes
import ChatEngine
import Cluster
import ClusterWire
import EventLoop
import RedisClient
import RedisStore

/// Cluster state in Redis that operators read: the event stream, and the memory of conversations.
extension NodeAgent {
    /// An estimate that takes longer ends with a partial result.
    private static let estimateTimeout: Int64 = 1000

    // MARK: Events

    /// From any thread. The result is not checked, because the node's log contains the event too.
    func record(_ event: String, _ details: [NodeLink.Event.Detail]) {
        self.loop.execute {
            self.state.with { state in
                let ownIncarnation = state.membership.localNode.incarnation
                let common: [NodeLink.Event.Detail] = [
                    .init("event", event), .init("node", ClusterRedisKeys.text(ownIncarnation)),
                    .init("name", state.record.name),
                    .init("view", String(state.membership.view?.number ?? 0)),
                ]
                try? state.client?.command(
                    tag: Tag.record, slot: RedisSlot(key: self.redisKeys.view)
                ) { command in
                    command.append("XADD")
                    command.append(text: self.redisKeys.events)
                    command.append("MAXLEN")
                    command.append("~")
                    command.append(LinkScripts.eventLimit)
                    command.append("*")
                    for detail in common + details {
                        command.append(text: detail.name)
                        command.append(text: detail.value)
                    }
                }
            }
        }
    }

    /// From any thread; the reply arrives on the loop.
    ///
    /// - Parameters:
    ///   - id: returns the events after this one; nil for the newest ones.
    ///   - reply: receives nil if Redis does not reply.
    func events(
        after id: String?, limit: Int, reply: @escaping @Sendable ([NodeLink.Event]?) -> Void
    ) {
        self.loop.execute {
            self.state.with { state in
                guard
                    let call = state.pendingCalls.start(
                        0, at: Self.now, reply: { _ in reply(nil) })
                else { return reply(nil) }
                self.sendCommand(
                    .events(call, reply), slot: RedisSlot(key: self.redisKeys.view), &state
                ) { command in
                    command.append(id == nil ? "XREVRANGE" : "XRANGE")
                    command.append(text: self.redisKeys.events)
                    command.append(text: id.map { "(\($0)" } ?? "+")
                    command.append(id == nil ? "-" : "+")
                    command.append("COUNT")
                    command.append(limit)
                }
            }
        }
    }

    // MARK: Memory

    /// From any thread; the reply arrives on the loop. It receives the bytes of all streams, or nil
    /// if Redis does not reply.
    func measureStreams(_ reply: @escaping @Sendable (Int?) -> Void) {
        self.loop.execute {
            self.state.with { state in
                let estimate = StreamSizeEstimator(
                    of: self.redisKeys.cluster, at: state.client?.masterSlots ?? [])
                guard estimate.slot != nil,
                    let call = state.pendingCalls.start(
                        0, at: Self.now, reply: { _ in reply(nil) })
                else { return reply(nil) }
                self.continueEstimate(
                    StreamSizeEstimate(
                        estimator: estimate, call: call,
                        deadline: Self.now + Self.estimateTimeout, reply: reply), &state)
            }
        }
    }

    struct StreamSizeEstimate {
        var estimator: StreamSizeEstimator
        let call: UInt64
        let deadline: Int64
        let reply: @Sendable (Int?) -> Void
    }

    private func continueEstimate(_ estimate: StreamSizeEstimate, _ state: inout State) {
        guard let slot = estimate.estimator.slot, Self.now < estimate.deadline else {
            if state.pendingCalls.remove(estimate.call) != nil {
                estimate.reply(estimate.estimator.bytes)
            }
            return
        }
        self.sendCommand(.streamSizes(estimate), slot: slot, &state) {
            estimate.estimator.write(to: &$0)
        }
    }

    /// Sends a command to Redis. If that fails, the request ends with its timeout.
    private func sendCommand(
        _ continuation: ReplyContinuation, slot: RedisSlot, _ state: inout State,
        _ write: (inout RedisCommandWriter) -> Void
    ) {
        state.lastTag.advance()
        if (try? state.client?.command(tag: state.lastTag, slot: slot, write)) != nil {
            state.replyContinuations[state.lastTag] = continuation
        }
    }

    // MARK: Replies

    func estimateReplied(_ estimate: StreamSizeEstimate, _ reply: RedisReply?) {
        self.state.with { state in
            var estimate = estimate
            if let reply, estimate.estimator.record(reply) {
                return self.continueEstimate(estimate, &state)
            }
            state.pendingCalls.remove(estimate.call)?(.failure(.noAnswer))
        }
    }

    func completeEvents(
        _ call: UInt64, _ reply: RedisReply?, _ completion: ([NodeLink.Event]?) -> Void
    ) {
        guard self.state.with({ $0.pendingCalls.remove(call) }) != nil else { return }
        completion(
            reply.map { $0.elements.compactMap(NodeLink.Event.init).sorted { $0.order < $1.order } }
        )
    }
}
