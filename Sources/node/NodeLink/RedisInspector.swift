import Bytes
import EventLoop
import RedisClient
import RedisStore
import Telemetry

/// Inspects Redis for operators: its settings, its `INFO`, and the memory of conversations.
final class RedisInspector: Sendable {
    typealias Info = (info: String, microseconds: Int64)

    private struct State {
        /// Where Redis keeps acknowledged writes, as a phrase; nil if Redis does not say.
        var durability: String?
        /// The warnings about Redis' settings that were logged.
        var loggedWarnings: Set<String> = []
        var infoQueries = PendingQueries<Info?>()
        var streamQueries = PendingQueries<Int?>()
        var trials = PendingQueries<RedisTrialReply?>()
    }

    /// An estimate in progress.
    private struct StreamSizeEstimate {
        var estimator: StreamSizeEstimator
        let query: UInt64
        let deadline: Int64
    }

    /// An estimate that takes longer ends with a partial result.
    private static let estimateTimeout: Int64 = 1000

    private let loop: EventLoop
    private let redis: AgentConnection
    private let redisKeys: ClusterRedisKeys
    private let logger: Logger
    private let state: LoopBound<State>

    init(
        on loop: EventLoop, redis: AgentConnection, redisKeys: ClusterRedisKeys, logger: Logger
    ) {
        self.loop = loop
        self.redis = redis
        self.redisKeys = redisKeys
        self.logger = logger
        self.state = LoopBound(State(), on: loop)
    }

    func expireQueries(at now: Int64) {
        let (infos, streams, trials) = self.state.with {
            (
                $0.infoQueries.takeExpired(at: now), $0.streamQueries.takeExpired(at: now),
                $0.trials.takeExpired(at: now)
            )
        }
        for reply in infos { reply(nil) }
        for reply in streams { reply(nil) }
        for reply in trials { reply(nil) }
    }

    // MARK: Trials

    /// From any thread; the reply arrives on the loop. It receives each server that executes
    /// commands, with one of its slots.
    func servers(_ reply: @escaping @Sendable ([(endpoint: String, slot: RedisSlot)]) -> Void) {
        self.loop.execute {
            reply(
                self.redis.masterSlots.map { slot in
                    (self.redis.endpoint(of: slot)?.description ?? "?", slot)
                })
        }
    }

    /// Sends one command, from any thread; the reply arrives on the loop. It receives nil if Redis
    /// does not reply.
    func attempt(
        _ arguments: [ByteString], in slot: RedisSlot,
        _ reply: @escaping @Sendable (RedisTrialReply?) -> Void
    ) {
        self.loop.execute {
            guard
                let query = self.state.with({ $0.trials.start(at: NodeAgent.now, reply: reply) })
            else { return reply(nil) }
            let sentAt = WallClock.now.milliseconds
            let isSent = self.redis.send(slot: slot) { command in
                for argument in arguments { command.append(text: argument) }
            } completion: { result in
                self.state.with { $0.trials.finish(query) }?(
                    RedisTrialReply(
                        result: result.map(RedisValue.init), sentAt: sentAt,
                        receivedAt: WallClock.now.milliseconds))
            }
            if !isSent { self.state.with { $0.trials.finish(query) }?(nil) }
        }
    }

    // MARK: Settings

    var durability: String? { self.state.with { $0.durability } }

    /// Reads the settings of every server. A Redis user without this permission gets no reply.
    func checkSettings() {
        for master in self.redis.masterSlots {
            self.redis.send(slot: master) { command in
                command.append("CONFIG")
                command.append("GET")
                for setting in RedisConfigCheck.settings { command.append(setting) }
            } completion: { result in
                if let reply = try? result.get() { self.apply(RedisConfigCheck(reply)) }
            }
        }
    }

    /// Each warning is logged once, because it applies after every reconnect.
    private func apply(_ check: RedisConfigCheck) {
        let newWarnings = self.state.with { state in
            state.durability = check.durability
            defer { state.loggedWarnings.formUnion(check.warnings) }
            return check.warnings.filter { !state.loggedWarnings.contains($0) }
        }
        for warning in newWarnings {
            self.logger.warning("redis setting unsafe", ["reason": .text(warning)])
        }
    }

    // MARK: INFO

    /// From any thread; the reply arrives on the loop. It receives nil if Redis does not reply.
    func info(_ reply: @escaping @Sendable (Info?) -> Void) {
        self.loop.execute {
            let start = MonotonicTime.exact.nanoseconds
            guard
                let query = self.state.with({
                    $0.infoQueries.start(at: NodeAgent.now, reply: reply)
                })
            else { return reply(nil) }
            let isSent = self.redis.send {
                $0.append("INFO")
            } completion: { result in
                let waiting = self.state.with { $0.infoQueries.finish(query) }
                guard let reply = try? result.get(), reply.kind == .string else {
                    waiting?(nil)
                    return
                }
                waiting?((reply.string, (MonotonicTime.exact.nanoseconds - start) / 1000))
            }
            if !isSent { self.state.with { $0.infoQueries.finish(query) }?(nil) }
        }
    }

    // MARK: Memory

    /// From any thread; the reply arrives on the loop. It receives the bytes of all streams, or nil
    /// if Redis does not reply.
    func measureStreams(_ reply: @escaping @Sendable (Int?) -> Void) {
        self.loop.execute {
            let estimator = StreamSizeEstimator(
                of: self.redisKeys.cluster, at: self.redis.masterSlots)
            guard estimator.slot != nil,
                let query = self.state.with({
                    $0.streamQueries.start(at: NodeAgent.now, reply: reply)
                })
            else { return reply(nil) }
            self.continueEstimate(
                StreamSizeEstimate(
                    estimator: estimator, query: query,
                    deadline: NodeAgent.now + Self.estimateTimeout))
        }
    }

    private func continueEstimate(_ estimate: StreamSizeEstimate) {
        guard let slot = estimate.estimator.slot, NodeAgent.now < estimate.deadline else {
            return self.finish(estimate, estimate.estimator.bytes)
        }
        self.redis.send(slot: slot) {
            estimate.estimator.write(to: &$0)
        } completion: { result in
            var estimate = estimate
            guard let reply = try? result.get(), estimate.estimator.record(reply) else {
                return self.finish(estimate, nil)
            }
            self.continueEstimate(estimate)
        }
    }

    private func finish(_ estimate: StreamSizeEstimate, _ bytes: Int?) {
        self.state.with { $0.streamQueries.finish(estimate.query) }?(bytes)
    }
}
