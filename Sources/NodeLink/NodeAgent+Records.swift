import Bytes
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
            self.state.with { body in
                let me = body.membership.localNode.incarnation
                let own: [NodeLink.Event.Detail] = [
                    .init("event", event), .init("node", ClusterRedisKeys.text(me)),
                    .init("name", body.record.name),
                    .init("view", String(body.membership.view?.number ?? 0)),
                ]
                try? body.client?.command(
                    tag: Tag.record, slot: RedisSlot(key: self.redisKeys.view)
                ) { command in
                    command.append("XADD")
                    command.append(text: self.redisKeys.events)
                    command.append("MAXLEN")
                    command.append("~")
                    command.append(LinkScripts.eventLimit)
                    command.append("*")
                    for detail in own + details {
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
            self.state.with { body in
                guard
                    let question = body.pendingCalls.start(
                        0, at: Self.now, reply: { _ in reply(nil) })
                else { return reply(nil) }
                self.sendCommand(
                    .events(question, reply), slot: RedisSlot(key: self.redisKeys.view), &body
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
            self.state.with { body in
                let survey = StreamSizeEstimator(
                    of: self.redisKeys.cluster, at: body.client?.masterSlots ?? [])
                guard survey.slot != nil,
                    let question = body.pendingCalls.start(
                        0, at: Self.now, reply: { _ in reply(nil) })
                else { return reply(nil) }
                self.continueEstimate(
                    StreamSizeEstimate(
                        estimator: survey, call: question,
                        deadline: Self.now + Self.estimateTimeout, reply: reply), &body)
            }
        }
    }

    struct StreamSizeEstimate {
        var estimator: StreamSizeEstimator
        let call: UInt64
        let deadline: Int64
        let reply: @Sendable (Int?) -> Void
    }

    private func continueEstimate(_ survey: StreamSizeEstimate, _ body: inout State) {
        guard let slot = survey.estimator.slot, Self.now < survey.deadline else {
            if body.pendingCalls.remove(survey.call) != nil { survey.reply(survey.estimator.bytes) }
            return
        }
        self.sendCommand(.streamSizes(survey), slot: slot, &body) {
            survey.estimator.write(to: &$0)
        }
    }

    /// Sends a command to Redis. If that fails, the request ends with its timeout.
    private func sendCommand(
        _ errand: ReplyContinuation, slot: RedisSlot, _ body: inout State,
        _ write: (inout RedisCommandWriter) -> Void
    ) {
        body.lastTag += 1
        if (try? body.client?.command(tag: body.lastTag, slot: slot, write)) != nil {
            body.replyContinuations[body.lastTag] = errand
        }
    }

    // MARK: Replies

    func estimateReplied(_ survey: StreamSizeEstimate, _ reply: RedisReply?) {
        self.state.with { body in
            var survey = survey
            if let reply, survey.estimator.record(reply) {
                return self.continueEstimate(survey, &body)
            }
            body.pendingCalls.remove(survey.call)?(.failure(.noAnswer))
        }
    }

    func completeEvents(
        _ question: UInt64, _ reply: RedisReply?, _ tell: ([NodeLink.Event]?) -> Void
    ) {
        guard self.state.with({ $0.pendingCalls.remove(question) }) != nil else { return }
        tell(
            reply.map { $0.elements.compactMap(NodeLink.Event.init).sorted { $0.order < $1.order } }
        )
    }
}
