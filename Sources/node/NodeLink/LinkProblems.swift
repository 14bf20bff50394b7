import RedisClient

/// The problems that Redis causes the link, as sentences for the log and the node's health.
///
/// It is a value. A problem repeats twice a second while it lasts; the functions say whether it is
/// new and belongs in the log.
struct LinkProblems {
    /// A command that messages between nodes need.
    enum LinkCommand: Sendable { case publish, subscribe }

    private let redisKeys: ClusterRedisKeys
    private let isRedisCluster: Bool
    /// Why the cluster's state in Redis cannot be read or written.
    private var stateProblem: String?
    /// Why messages cannot be received or sent: Redis rejects the subscription or the publish.
    private var subscribeProblem: String?
    private var publishProblem: String?
    /// The mailbox problem that was reported last.
    private var reportedMailboxProblem: String?

    init(redisKeys: ClusterRedisKeys, isRedisCluster: Bool) {
        self.redisKeys = redisKeys
        self.isRedisCluster = isRedisCluster
    }

    /// Why the node cannot join, although Redis is available; nil if nothing is wrong.
    var reason: String? { self.stateProblem ?? self.commandProblem }

    private var commandProblem: String? { self.subscribeProblem ?? self.publishProblem }

    // MARK: Cluster state

    /// - Returns: whether the problem is new.
    mutating func stateFailed(_ reason: String) -> Bool {
        defer { self.stateProblem = reason }
        return self.stateProblem != reason
    }

    mutating func stateSucceeded() { self.stateProblem = nil }

    /// Explains why Redis rejected a command on the cluster's state.
    func stateReason(_ error: RedisError) -> String {
        guard case .notPermitted = error else { return error.description }
        return
            "\(error) A node needs EVALSHA, and in its scripts the commands of the groups read "
            + "and write, on the keys \(self.redisKeys.cluster):*; "
            + "docs/operating/redis.md has the rule, and ACL LOG shows the rejected command."
    }

    // MARK: Messages

    /// Redis rejects a command that messages need.
    ///
    /// - Returns: the problem if it is new. The channel changes with every incarnation, but the
    ///   problem is the same.
    mutating func rejected(
        _ command: LinkCommand, _ error: RedisError, mailboxOf incarnation: UInt64
    ) -> String? {
        let name = self.name(of: command)
        let channel = self.redisKeys.mailbox(incarnation)
        var reason = "\(error)"
        if case .notPermitted = error {
            reason +=
                " A node needs \(name) on the channels \(self.redisKeys.cluster):* "
                + "(rejected: \(channel)); docs/operating/redis.md has the rule."
        } else {
            reason += " (\(name) \(channel))"
        }
        switch command {
        case .subscribe:
            defer { self.subscribeProblem = reason }
            return self.subscribeProblem == nil ? reason : nil
        case .publish:
            defer { self.publishProblem = reason }
            return self.publishProblem == nil ? reason : nil
        }
    }

    mutating func accepted(_ command: LinkCommand) {
        switch command {
        case .subscribe: self.subscribeProblem = nil
        case .publish: self.publishProblem = nil
        }
    }

    private func name(of command: LinkCommand) -> String {
        switch command {
        case .publish: self.isRedisCluster ? "SPUBLISH" : "PUBLISH"
        case .subscribe: self.isRedisCluster ? "SSUBSCRIBE" : "SUBSCRIBE"
        }
    }

    // MARK: Mailbox

    /// Why no messages arrive; nil if they do.
    ///
    /// - Returns: also whether the problem differs from the last one.
    mutating func mailboxProblem(isHealthy: Bool) -> (reason: String?, hasChanged: Bool) {
        let reason =
            isHealthy
            ? nil : self.commandProblem ?? "the node receives no messages from Redis Pub/Sub"
        defer { self.reportedMailboxProblem = reason }
        return (reason, reason != self.reportedMailboxProblem)
    }
}
