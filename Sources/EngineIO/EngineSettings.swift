/// The times and bounds of sessions. Times are milliseconds, sizes bytes.
///
/// A class, because all sessions of a node share one: a quiet session holds a reference and not a copy.
public final class EngineSettings: Sendable {
    /// How long after the last pong, or after opening, the server pings.
    public let pingInterval: Int64
    /// How long after a ping its pong may take.
    public let pingTimeout: Int64
    /// The most that a POST's body may have.
    public let maxPayload: Int
    /// The most packets that a POST may have. Above what one who sends in earnest gathers, and far below what fits into `maxPayload`.
    public let postPackets: Int
    /// The most packets in one polling answer: stock python-engineio drops a session over more than 16.
    public let answerPackets: Int
    /// Behind so many bytes a polling answer ends; a packet, or two that belong together, may be longer.
    public let answerBytes: Int
    /// The most packets that wait for a poll, but for one that belongs to the last of them. Beyond it the session is closed.
    public let outboxPackets: Int
    /// The most bytes that wait for a poll. Beyond it the session is closed.
    public let outboxBytes: Int
    /// How long a WebSocket that is to take over from polling may need for it.
    public let upgradeTimeout: Int64
    /// How long what is left to say waits for a poll when the server closes the session.
    public let closeTimeout: Int64

    /// The times and bounds that stock clients expect unless told otherwise.
    public init(
        pingInterval: Int64 = 25_000, pingTimeout: Int64 = 20_000, maxPayload: Int = 1_000_000,
        postPackets: Int = 16_384,
        answerPackets: Int = 16, answerBytes: Int = 1_000_000, outboxPackets: Int = 4096,
        outboxBytes: Int = 4 << 20,
        upgradeTimeout: Int64 = 10_000, closeTimeout: Int64 = 10_000
    ) {
        precondition(
            answerPackets >= 2,
            "An answer of \(answerPackets) packets has no room for two that belong together.")
        self.pingInterval = pingInterval
        self.pingTimeout = pingTimeout
        self.maxPayload = maxPayload
        self.postPackets = postPackets
        self.answerPackets = answerPackets
        self.answerBytes = answerBytes
        self.outboxPackets = outboxPackets
        self.outboxBytes = outboxBytes
        self.upgradeTimeout = upgradeTimeout
        self.closeTimeout = closeTimeout
    }
}
