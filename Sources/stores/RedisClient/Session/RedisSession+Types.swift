internal import EventLoop

extension RedisSession {
    /// How replies are interpreted.
    enum SessionMode {
        /// Each reply answers a command.
        case commands
        /// Replies are push messages.
        case subscription
    }

    /// The server's role in the deployment.
    enum ServerRole: Equatable {
        /// The only server.
        case standalone
        /// The server that the sentinels name. It must confirm its role, and is left when it loses
        /// it.
        case master
        /// Redirected commands are returned, to be sent to another node.
        case clusterNode
        /// A sentinel. It gets the servers' password only after it has asked for one.
        case sentinel(authenticates: Bool)

        var isSentinel: Bool { if case .sentinel = self { true } else { false } }
    }

    enum State: Equatable {
        /// No connection; the next attempt is due at this time.
        case disconnected(retryAt: MonotonicTime)
        /// The owner is connecting.
        case connecting(since: MonotonicTime)
        case handshaking(since: MonotonicTime)
        case ready(since: MonotonicTime)
        case closed
    }

    enum Event {
        case ready(epoch: Int)
        /// The connection or the attempt has failed. The owner must close the socket.
        case unavailable(RedisOutage)
        /// Valid until the next call of any function of the session.
        case reply(RedisReply, tag: CommandTag)
        case failed(RedisError, tag: CommandTag)
        case push(RedisReply)
        /// The server has not executed a command: another node must, or this one later. The command
        /// comes with the WAITs directly behind it, because they apply to it; this server's replies
        /// to them are dropped.
        case notExecuted([QueuedCommand], RedisError)
    }
}
