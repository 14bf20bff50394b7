import ChatEngine
import EventLoop
import RedisClient
import Telemetry

/// Reports the problems that Redis causes the link: to the log once, and to the node's health.
final class ProblemReporter: Sendable {
    private let receiver: any RelayReceiver
    private let logger: Logger
    private let problems: LoopBound<LinkProblems>

    init(
        on loop: EventLoop, redisKeys: ClusterRedisKeys, isRedisCluster: Bool,
        receiver: any RelayReceiver, logger: Logger
    ) {
        self.receiver = receiver
        self.logger = logger
        self.problems = LoopBound(
            LinkProblems(redisKeys: redisKeys, isRedisCluster: isRedisCluster), on: loop)
    }

    /// Why the node cannot join, although Redis is available; nil if nothing is wrong.
    var reason: String? { self.problems.with { $0.reason } }

    /// The cluster's state could not be written. If Redis did not execute the command, that is no
    /// problem of the state.
    func stateNotStored(_ error: RedisError) {
        guard error.isFromServer else { return }
        let reason = self.problems.with { $0.stateReason(error) }
        if self.problems.with({ $0.stateFailed(reason) }) {
            self.logger.error("cluster state not stored", ["reason": .text(reason)])
        }
    }

    func viewUnreadable(_ reason: String) {
        if self.problems.with({ $0.stateFailed(reason) }) {
            self.logger.error("view unreadable", ["reason": .text(reason)])
        }
    }

    func stateStored() { self.problems.with { $0.stateSucceeded() } }

    func rejected(
        _ command: LinkProblems.LinkCommand, _ error: RedisError, mailboxOf incarnation: UInt64
    ) {
        let reason = self.problems.with { $0.rejected(command, error, mailboxOf: incarnation) }
        if let reason {
            self.logger.error("messages rejected by redis", ["reason": .text(reason)])
        }
    }

    func accepted(_ command: LinkProblems.LinkCommand) {
        self.problems.with { $0.accepted(command) }
    }

    /// - Parameter change: whether the mailbox is healthy, if that has changed.
    func mailboxChecked(isHealthy: Bool, change: Bool?) {
        let (reason, hasChanged) = self.problems.with { $0.mailboxProblem(isHealthy: isHealthy) }
        if change != nil || hasChanged { self.receiver.linkProblemChanged(reason) }
        switch change {
        case true?: self.logger.info("messages from redis resumed")
        case false?: self.logger.warning("messages from redis missing")
        case nil: break
        }
    }
}
