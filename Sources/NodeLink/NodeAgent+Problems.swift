import ChatEngine
import EventLoop
import RedisClient
import Telemetry

/// Problems with Redis that the log and the node's health report.
extension NodeAgent {
    func recordsReason(_ error: RedisError) -> String {
        guard case .notPermitted = error else { return error.description }
        return
            "\(error) A node needs EVALSHA, and in its scripts the commands of the groups read "
            + "and write, on the keys \(self.redisKeys.cluster):*; "
            + "docs/operating/redis.md has the rule, and ACL LOG shows the rejected command."
    }

    private var isRedisCluster: Bool { self.settings.redis.url.kind == .cluster }
    var publishCommand: String { self.isRedisCluster ? "SPUBLISH" : "PUBLISH" }
    var subscribeCommand: String { self.isRedisCluster ? "SSUBSCRIBE" : "SUBSCRIBE" }

    /// Records that Redis rejects a command that messages need. It is logged once, and is the
    /// reason why the node cannot join or is unhealthy.
    func recordLinkProblem(
        _ error: RedisError, _ command: String, at problem: WritableKeyPath<State, String?>
    ) {
        let channel = self.redisKeys.mailbox(self.state.with { $0.mailbox.incarnation })
        var reason = "\(error)"
        if case .notPermitted = error {
            reason +=
                " A node needs \(command) on the channels \(self.redisKeys.cluster):* "
                + "(rejected: \(channel)); docs/operating/redis.md has the rule."
        } else {
            reason += " (\(command) \(channel))"
        }
        let isNew = self.state.with { state in
            // The channel changes with every incarnation, but the problem is the same.
            defer { state[keyPath: problem] = reason }
            return state[keyPath: problem] == nil
        }
        if isNew { self.logger.error("messages rejected by redis", ["reason": .text(reason)]) }
        self.updateJoinState()
    }

    /// Logs a problem once, not twice a second.
    func recordProblem(_ name: StaticString, _ reason: String) {
        let isNew = self.state.with { state in
            defer { state.recordsProblem = reason }
            return state.recordsProblem != reason
        }
        if isNew { self.logger.error(name, ["reason": .text(reason)]) }
        self.updateJoinState()
    }
}
