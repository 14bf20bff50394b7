public import TLS

/// The URL of Redis and the timeouts and limits of its connections. The same for all loops of a
/// process.
public struct RedisSettings: Sendable {
    public var url: RedisURL
    /// The trusted authorities for `rediss`; created once and shared.
    public var tls: TLSContext?
    /// The connections' name in CLIENT LIST, without blanks; nil for none.
    public var name: String?

    /// The user sends commands whose replies it does not need, so the handshake checks whether
    /// CLIENT REPLY can suppress them.
    public var suppressesReplies = false

    /// Covers DNS, TCP, TLS, password and scripts, up to the first command.
    public var connectTimeout = Duration.seconds(5)
    /// How long a command waits for a connection, and then how long for its reply.
    public var commandTimeout = Duration.seconds(5)
    /// The connection is closed when a reply or the handshake is due and no byte arrives for this
    /// long, because networks drop connections without notifying either end. A slow server still
    /// sends bytes. A frozen one loses a connection needlessly, and the next handshake waits as
    /// long again, which limits the load of reconnections. The time of WAIT is added, because its
    /// silence is expected.
    public var silenceTimeout = Duration.seconds(2)
    /// The connection sends a PING after it has received nothing for this long.
    public var pingAfter = Duration.seconds(5)
    /// The delay before the second connection attempt. It doubles up to `longestRetryWait`, and
    /// each delay is shortened by a random amount.
    public var firstRetryWait = Duration.milliseconds(50)
    public var longestRetryWait = Duration.seconds(1)

    /// The maximum number of commands without a reply, queued or in flight.
    public var commandLimit = 65_536
    /// The maximum size of unsent commands.
    public var unsentByteLimit = 32 << 20
    /// The maximum size of one reply.
    public var replyByteLimit = 64 << 20

    /// - Parameter authorities: a PEM file of trusted authorities for `rediss`; nil for the
    ///   system's.
    public init(_ url: RedisURL, trusting authorities: String? = nil) throws(TLSError) {
        self.url = url
        self.silenceTimeout += .milliseconds(url.waitMilliseconds ?? 0)
        self.tls = url.isSecure ? try TLSContext(clientTrusting: authorities) : nil
    }
}
