public import TLS

/// Where Redis is, and how much patience and room its connections have. The same for all loops of a process.
public struct RedisSettings: Sendable {
    public var url: RedisURL
    /// Who is believed, for `rediss`; made once and shared.
    public var tls: TLSContext?
    /// What CLIENT LIST calls our connections; without blanks. Nil for none.
    public var name: String?

    /// Some commands are given whose replies nobody wants: the server is asked whether it can leave them out (CLIENT REPLY).
    public var suppressesReplies = false

    /// From the first packet to the first command: name, connection, TLS, password, scripts.
    public var connectTimeout = Duration.seconds(5)
    /// So long a command waits for a connection, and so long for its answer.
    public var commandTimeout = Duration.seconds(5)
    /// When a server owes an answer, or its greeting, and says nothing at all for so long, the connection is given up: networks forget
    /// connections without telling either end. One that is only slow is heard of meanwhile; one that is frozen loses a connection for
    /// nothing, and the next waits for its greeting as long again, so that nobody hammers it. WAIT, which is silent by right, has its time
    /// on top.
    public var silenceTimeout = Duration.seconds(2)
    /// After so much silence the server is asked whether it is there.
    public var pingAfter = Duration.seconds(5)
    /// The wait before the second attempt to connect; it doubles up to `longestRetryWait`, each less a part by chance.
    public var firstRetryWait = Duration.milliseconds(50)
    public var longestRetryWait = Duration.seconds(1)

    /// So many commands may be unanswered, waiting for a connection or under way.
    public var commandLimit = 65_536
    /// So many bytes of commands may be unsent.
    public var unsentByteLimit = 32 << 20
    /// What one reply may take.
    public var replyByteLimit = 64 << 20

    /// - Parameter authorities: a file (PEM) of those whom to believe for `rediss`; nil for the system's.
    public init(_ url: RedisURL, trusting authorities: String? = nil) throws(TLSError) {
        self.url = url
        self.silenceTimeout += .milliseconds(url.waitMilliseconds ?? 0)
        self.tls = url.isSecure ? try TLSContext(clientTrusting: authorities) : nil
    }
}
