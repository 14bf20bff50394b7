import Bytes
import EventLoop
import RedisClient

/// The cluster's events in Redis: records those of this node, and reads all of them for operators.
final class ClusterEventLog: Sendable {
    private let loop: EventLoop
    private let redis: AgentConnection
    private let redisKeys: ClusterRedisKeys
    private let queries: LoopBound<PendingQueries<[NodeLink.Event]?>>

    init(on loop: EventLoop, redis: AgentConnection, redisKeys: ClusterRedisKeys) {
        self.loop = loop
        self.redis = redis
        self.redisKeys = redisKeys
        self.queries = LoopBound(PendingQueries(), on: loop)
    }

    /// On the loop. The result is not checked, because the node's log contains the event too.
    func append(_ details: [NodeLink.Event.Detail]) {
        self.redis.send(slot: RedisSlot(key: self.redisKeys.view)) { command in
            command.append("XADD")
            command.append(text: self.redisKeys.events)
            command.append("MAXLEN")
            command.append("~")
            command.append(LinkScripts.eventLimit)
            command.append("*")
            for detail in details {
                command.append(text: detail.name)
                command.append(text: detail.value)
            }
        } completion: { _ in
        }
    }

    /// On the loop: records an incident that all nodes notice, such as an outage of Redis. The
    /// first node's event is stored.
    func appendOnce(_ details: [NodeLink.Event.Detail], milliseconds: Int64) {
        self.redis.send(slot: RedisSlot(key: self.redisKeys.view)) { command in
            command.append(LinkScripts.appendOnce, keyCount: 2)
            command.append(text: self.redisKeys.incident)
            command.append(text: self.redisKeys.events)
            command.append(max(milliseconds, LinkScripts.incidentMilliseconds))
            for detail in details {
                command.append(text: detail.name)
                command.append(text: detail.value)
            }
        } completion: { _ in
        }
    }

    /// From any thread; the reply arrives on the loop.
    ///
    /// - Parameters:
    ///   - range: which events; within it the oldest ones after an id, or the newest ones.
    ///   - reply: receives nil if Redis does not reply.
    func events(
        in range: NodeLink.EventRange, limit: Int,
        reply: @escaping @Sendable ([NodeLink.Event]?) -> Void
    ) {
        self.loop.execute {
            guard
                let query = self.queries.with({ $0.start(at: NodeAgent.now, reply: reply) })
            else { return reply(nil) }
            self.redis.send(slot: RedisSlot(key: self.redisKeys.view)) { command in
                switch range {
                case .after(let id):
                    command.append("XRANGE")
                    command.append(text: self.redisKeys.events)
                    command.append(text: "(\(id)")
                    command.append("+")
                case .before(let id):
                    command.append("XREVRANGE")
                    command.append(text: self.redisKeys.events)
                    command.append(text: id.map { "(\($0)" } ?? "+")
                    command.append("-")
                }
                command.append("COUNT")
                command.append(limit)
            } completion: { result in
                self.queries.with { $0.finish(query) }?(
                    (try? result.get()).map(NodeLink.Event.events))
            }
        }
    }

    func expireQueries(at now: Int64) {
        for reply in self.queries.with({ $0.takeExpired(at: now) }) { reply(nil) }
    }
}

extension NodeLink.Event {
    /// The events in a reply, oldest first. Other elements are skipped.
    static func events(_ reply: RedisReply) -> [NodeLink.Event] {
        reply.elements.compactMap(NodeLink.Event.init).sorted { $0.order < $1.order }
    }
}
