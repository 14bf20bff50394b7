import ClusterWire
import EventLoop
import RedisClient
import Synchronization

/// Calls to other nodes, and the requests of other nodes.
final class NodeCalls: Sendable {
    private let loop: EventLoop
    private let redis: AgentConnection
    private let membership: ClusterMembershipShell
    private let handler: NodeLink.CallHandler
    private let pending: LoopBound<PendingCalls>

    init(
        on loop: EventLoop, redis: AgentConnection, membership: ClusterMembershipShell,
        handler: @escaping NodeLink.CallHandler
    ) {
        self.loop = loop
        self.redis = redis
        self.membership = membership
        self.handler = handler
        self.pending = LoopBound(PendingCalls(), on: loop)
    }

    // MARK: Calls

    /// A call that may be cancelled.
    final class Handle: Sendable {
        fileprivate enum State { case unstarted, started(UInt64), cancelled }
        fileprivate let state = Mutex(State.unstarted)
    }

    /// From any thread; the reply arrives on the loop.
    func call(
        _ node: UInt64, _ request: NodeRequest, handle: Handle = Handle(),
        reply: @escaping PendingCalls.Reply
    ) {
        self.loop.execute {
            if let failure = self.start(node, request, handle, reply: reply) {
                reply(.failure(failure))
            }
        }
    }

    /// From any thread. A call that is not answered yet fails.
    func cancel(_ handle: Handle) {
        self.loop.execute {
            let state = handle.state.withLock { state in
                defer { state = .cancelled }
                return state
            }
            guard case .started(let id) = state else { return }
            self.pending.with { $0.remove(id) }?(.failure(.noAnswer))
        }
    }

    /// - Returns: why the call was not sent; nil if it was.
    private func start(
        _ node: UInt64, _ request: NodeRequest, _ handle: Handle,
        reply: @escaping PendingCalls.Reply
    ) -> NodeCallError? {
        if case .cancelled = handle.state.withLock({ $0 }) { return .noAnswer }
        guard let id = self.pending.with({ $0.start(node, at: NodeAgent.now, reply: reply) }) else {
            return .tooMany
        }
        handle.state.withLock { $0 = .started(id) }
        let message = ControlMessage(
            .request, from: self.membership.incarnation, to: node, id: id,
            topic: request.topic, body: request.body)
        guard message.isWithinLimits else {
            self.pending.with { _ = $0.remove(id) }
            return .tooLong
        }
        let isSent = self.redis.publish(message) { result in
            // A crashed process has no subscription, so the call fails at once.
            guard (try? result.get())?.integer ?? 0 == 0 else { return }
            self.pending.with { $0.remove(id) }?(.failure(.noAnswer))
        }
        guard isSent else {
            self.pending.with { _ = $0.remove(id) }
            return .noAnswer
        }
        return nil
    }

    func replied(_ message: ControlMessage) {
        self.pending.with { $0.finish(message.id, from: message.from) }?(.success(message.body))
    }

    func expireCalls(at now: Int64) {
        for reply in self.pending.with({ $0.takeExpired(at: now) }) { reply(.failure(.noAnswer)) }
    }

    // MARK: Requests

    /// Answers a request, once. Requests from nodes outside the view are dropped, because a
    /// recorded packet could be replayed.
    func requested(_ message: ControlMessage) {
        let members = self.membership.members
        let isAccepted = self.pending.with { pending in
            pending.removeRequests(allBut: members)
            return members.contains(message.from)
                && pending.acceptRequest(message.id, from: message.from)
        }
        guard isAccepted else { return }
        guard let request = NodeRequest(topic: message.topic, body: message.body) else {
            // A node of a later version sent it. Its caller reports that there is no reply.
            return self.reply(to: message, with: nil)
        }
        Task {
            let text = await self.handler(request)
            self.loop.execute { self.reply(to: message, with: text) }
        }
    }

    private func reply(to request: ControlMessage, with text: String?) {
        self.pending.with { $0.requestFinished() }
        guard let text else { return }
        let reply = ControlMessage(
            .reply, from: request.to, to: request.from, id: request.id, topic: request.topic,
            body: text)
        if reply.isWithinLimits { self.redis.publish(reply) }
    }
}
