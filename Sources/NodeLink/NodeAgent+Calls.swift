import Bytes
import ChatEngine
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
            let failure: NodeCallError? = self.state.with { state in
                guard let id = state.pendingCalls.start(node, at: Self.now, reply: reply) else {
                    return .tooMany
                }
                let message = ControlMessage(
                    .request, from: state.membership.localNode.incarnation, to: node, id: id,
                    topic: topic, body: text)
                guard message.isWithinLimits else {
                    _ = state.pendingCalls.remove(id)
                    return .tooLong
                }
                state.lastTag.advance()
                guard state.publisher?.send(message, tag: state.lastTag) == true else {
                    _ = state.pendingCalls.remove(id)
                    return .noAnswer
                }
                state.replyContinuations[state.lastTag] = .call(id)
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
                self.state.with { state in
                    var status = NodeLink.ClusterStatus()
                    status.localNode = state.membership.localNode.incarnation
                    status.view = state.membership.view
                    status.peers = state.peerDirectory.peers(
                        in: state.membership.view, suspects: state.membership.suspects, at: now)
                    status.lastDeliveryAge = state.mailbox.age(at: now)
                    status.mailboxResubscriptions = state.mailbox.resubscriptions
                    status.durability = state.durability
                    status.redisMode = self.settings.redis.url.kind.name
                    status.redisServers = state.client?.endpoints.map(\.description).sorted() ?? []
                    return status
                })
        }
    }

    func inspectRedis(_ reply: @escaping @Sendable ((info: String, microseconds: Int64)?) -> Void) {
        self.loop.execute {
            let start = MonotonicTime.exact.nanoseconds
            self.state.with { state in
                let call = state.pendingCalls.start(0, at: Self.now) { result in
                    let microseconds = (MonotonicTime.exact.nanoseconds - start) / 1000
                    reply((try? result.get()).map { ($0, microseconds) })
                }
                guard let call else { return reply(nil) }
                state.lastTag.advance()
                do throws(RedisError) {
                    try state.client?.command(tag: state.lastTag) { $0.append("INFO") }
                    state.replyContinuations[state.lastTag] = .redisInfo(call)
                } catch {
                    state.pendingCalls.remove(call)?(.failure(.noAnswer))
                }
            }
        }
    }

    /// Reads the records of nodes whose record is unknown.
    func fetchPeerRecords(at now: Int64) {
        self.state.with { state in
            for node in state.peerDirectory.follow(state.membership.storedView, at: now) {
                state.lastTag.advance()
                do throws(RedisError) {
                    try state.client?.command(
                        tag: state.lastTag, slot: RedisSlot(key: self.redisKeys.view)
                    ) { command in
                        command.append("HGET")
                        command.append(text: self.redisKeys.node(node))
                        command.append("record")
                    }
                    state.replyContinuations[state.lastTag] = .nodeRecord(node)
                } catch {
                    state.peerDirectory.fetchFailed(of: node)
                }
            }
            state.pendingCalls.removeRequests(
                allBut: Set(state.membership.storedView?.nodes.map(\.incarnation) ?? []))
        }
    }

    /// - Parameter reply: nil if the command failed.
    func complete(_ continuation: ReplyContinuation, with reply: RedisReply?) {
        let now = Self.now
        switch continuation {
        case .nodeRecord(let node):
            self.state.with { state in
                guard let reply, reply.kind == .string || reply.isNull else {
                    return state.peerDirectory.fetchFailed(of: node)
                }
                state.peerDirectory.recordFetched(
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
        case .events(let id, let completion): self.completeEvents(id, reply, completion)
        case .streamSizes(let estimate): self.estimateReplied(estimate, reply)
        }
    }

    func expireCalls(at now: Int64) {
        for reply in self.state.with({ $0.pendingCalls.takeExpired(at: now) }) {
            reply(.failure(.noAnswer))
        }
    }

    func receive(_ message: ControlMessage) {
        switch message.kind {
        case .loopMessage:
            // As for requests, a message from a node outside the view is dropped.
            guard let loop = UInt16(message.topic),
                self.state.with({ $0.membership.storedView?.node(message.from) != nil })
            else { return }
            self.receiver.receive(RemoteLoopMessage(to: loop, message.body), from: message.from)
        case .reply:
            self.state.with { $0.pendingCalls.finish(message.id, from: message.from) }?(
                .success(message.body))
        case .request:
            // Requests from nodes outside the view are dropped, because a recorded packet could be
            // replayed.
            let isAccepted = self.state.with { state in
                state.membership.storedView?.node(message.from) != nil
                    && state.pendingCalls.acceptRequest(message.id, from: message.from)
            }
            guard isAccepted else { return }
            Task {
                let text = await self.callHandler(message.topic, message.body)
                self.loop.execute { self.reply(to: message, with: text) }
            }
        }
    }

    private func reply(to request: ControlMessage, with text: String?) {
        self.state.with { state in
            state.pendingCalls.requestFinished()
            guard let text else { return }
            let reply = ControlMessage(
                .reply, from: request.to, to: request.from, id: request.id,
                topic: request.topic, body: text)
            if reply.isWithinLimits { state.publisher?.send(reply) }
        }
    }
}
