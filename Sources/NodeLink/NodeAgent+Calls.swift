import Bytes
import Cluster
import ClusterWire
import EventLoop
import RedisClient
import Telemetry

/// Calls between nodes, and queries to Redis, for operators.
extension NodeAgent {
    /// From any thread; the reply arrives on the loop.
    func call(_ node: UInt64, _ topic: String, _ text: String, reply: @escaping PendingCalls.Reply)
    {
        self.loop.execute {
            let failure: NodeCallError? = self.state.with { body in
                guard let id = body.pendingCalls.start(node, at: Self.now, reply: reply) else {
                    return .tooMany
                }
                let memo = ControlMessage(
                    .request, from: body.membership.localNode.incarnation, to: node, id: id,
                    topic: topic, body: text)
                guard memo.isWithinLimits else {
                    _ = body.pendingCalls.remove(id)
                    return .tooLong
                }
                body.lastTag += 1
                guard body.publisher?.send(memo, tag: body.lastTag) == true else {
                    _ = body.pendingCalls.remove(id)
                    return .noAnswer
                }
                body.replyContinuations[body.lastTag] = .call(id)
                return nil
            }
            if let failure { reply(.failure(failure)) }
        }
    }

    /// From any thread; the reply arrives on the loop.
    func clusterStatus(_ reply: @escaping @Sendable (NodeLink.ClusterStatus) -> Void) {
        self.loop.execute {
            let now = Self.now
            reply(
                self.state.with { body in
                    var answer = NodeLink.ClusterStatus()
                    answer.localNode = body.membership.localNode.incarnation
                    answer.view = body.membership.view
                    answer.peers = body.peerDirectory.peers(
                        in: body.membership.view, suspects: body.membership.suspects, at: now)
                    answer.lastDeliveryAge = body.mailbox.age(at: now)
                    answer.mailboxResubscriptions = body.mailbox.resubscriptions
                    answer.durability = body.durability
                    answer.redisMode = self.settings.redis.url.kind.name
                    answer.redisServers = body.client?.endpoints.map(\.description).sorted() ?? []
                    return answer
                })
        }
    }

    func inspectRedis(_ reply: @escaping @Sendable ((info: String, microseconds: Int64)?) -> Void) {
        self.loop.execute {
            let start = MonotonicTime.exact.nanoseconds
            self.state.with { body in
                let question = body.pendingCalls.start(0, at: Self.now) { result in
                    let microseconds = (MonotonicTime.exact.nanoseconds - start) / 1000
                    reply((try? result.get()).map { ($0, microseconds) })
                }
                guard let question else { return reply(nil) }
                body.lastTag += 1
                do throws(RedisError) {
                    try body.client?.command(tag: body.lastTag) { $0.append("INFO") }
                    body.replyContinuations[body.lastTag] = .redisInfo(question)
                } catch {
                    body.pendingCalls.remove(question)?(.failure(.noAnswer))
                }
            }
        }
    }

    /// Reads the records of nodes whose record is unknown.
    func fetchPeerRecords(at now: Int64) {
        self.state.with { body in
            for node in body.peerDirectory.follow(body.membership.storedView, at: now) {
                body.lastTag += 1
                do throws(RedisError) {
                    try body.client?.command(
                        tag: body.lastTag, slot: RedisSlot(key: self.redisKeys.view)
                    ) { command in
                        command.append("HGET")
                        command.append(text: self.redisKeys.node(node))
                        command.append("record")
                    }
                    body.replyContinuations[body.lastTag] = .nodeRecord(node)
                } catch {
                    body.peerDirectory.fetchFailed(of: node)
                }
            }
            body.pendingCalls.removeRequests(
                allBut: Set(body.membership.storedView?.nodes.map(\.incarnation) ?? []))
        }
    }

    /// - Parameter reply: nil if the command failed.
    func complete(_ errand: ReplyContinuation, with reply: RedisReply?) {
        let now = Self.now
        switch errand {
        case .nodeRecord(let node):
            self.state.with { body in
                guard let reply, reply.kind == .string || reply.isNull else {
                    return body.peerDirectory.fetchFailed(of: node)
                }
                body.peerDirectory.recordFetched(
                    reply.isNull ? nil : try? NodeRecord(text: reply.string), of: node, at: now)
            }
        case .call(let id):
            // A crashed process has no subscription, so the call fails at once.
            guard reply?.integer ?? 0 == 0 else { return }
            self.state.with { $0.pendingCalls.remove(id) }?(.failure(.noAnswer))
        case .redisInfo(let id):
            let waiting = self.state.with { $0.pendingCalls.remove(id) }
            if let reply, reply.kind == .string {
                waiting?(.success(reply.string))
            } else {
                waiting?(.failure(.noAnswer))
            }
        case .events(let id, let tell): self.completeEvents(id, reply, tell)
        case .streamSizes(let survey): self.estimateReplied(survey, reply)
        }
    }

    func expireCalls(at now: Int64) {
        for reply in self.state.with({ $0.pendingCalls.takeExpired(at: now) }) {
            reply(.failure(.noAnswer))
        }
    }

    func receive(_ memo: ControlMessage) {
        switch memo.kind {
        case .loopMessage:
            // As for requests, a message from a node outside the view is dropped.
            guard let loop = UInt16(memo.topic),
                self.state.with({ $0.membership.storedView?.node(memo.from) != nil })
            else { return }
            self.receiver.receive(RemoteLoopMessage(to: loop, memo.body), from: memo.from)
        case .reply:
            self.state.with { $0.pendingCalls.finish(memo.id, from: memo.from) }?(
                .success(memo.body))
        case .request:
            // Requests from nodes outside the view are dropped, because a recorded packet could be
            // replayed.
            let isTaken = self.state.with { body in
                body.membership.storedView?.node(memo.from) != nil
                    && body.pendingCalls.acceptRequest(memo.id, from: memo.from)
            }
            guard isTaken else { return }
            Task {
                let text = await self.callHandler(memo.topic, memo.body)
                self.loop.execute { self.reply(to: memo, with: text) }
            }
        }
    }

    private func reply(to question: ControlMessage, with text: String?) {
        self.state.with { body in
            body.pendingCalls.requestFinished()
            guard let text else { return }
            let answer = ControlMessage(
                .reply, from: question.to, to: question.from, id: question.id,
                topic: question.topic, body: text)
            if answer.isWithinLimits { body.publisher?.send(answer) }
        }
    }
}
