/// The next step for a command that a cluster node has not executed, because another node must
/// execute it or because this node can only do so later.
enum Redirection: Equatable {
    /// Send the command to this node, preceded by ASKING while the slot is still moving.
    case send(to: RedisEndpoint, asking: Bool)
    /// Send it again after a delay.
    case retryLater
    /// Report the error: the command has been redirected or retried too often.
    case fail

    // Each node that a slot passes through redirects once; more redirects mean that the nodes
    // disagree.
    static let redirectLimit = 8
    // Two seconds in total, because each delay also waits for the loop's next tick.
    static let retryLimit = 20
    static let retryDelay = Duration.milliseconds(50)

    /// - Parameter host: the host of the server that sent the error. An error without a host means
    ///   this one.
    init(_ error: RedisError, of command: QueuedCommand, host: String) {
        func withHost(_ endpoint: RedisEndpoint) -> RedisEndpoint {
            endpoint.host.isEmpty ? RedisEndpoint(host: host, port: endpoint.port) : endpoint
        }
        switch error {
        case .moved(_, let endpoint) where command.redirects < Self.redirectLimit:
            self = .send(to: withHost(endpoint), asking: false)
        case .ask(_, let endpoint) where command.redirects < Self.redirectLimit:
            self = .send(to: withHost(endpoint), asking: true)
        case .tryAgain where command.retries < Self.retryLimit: self = .retryLater
        default: self = .fail
        }
    }
}
