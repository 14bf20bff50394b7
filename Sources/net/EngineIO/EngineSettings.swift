/// The timeouts and limits of sessions. Times are milliseconds, sizes bytes.
///
/// A class, because all sessions of a node share one instance: a quiet session stores a reference
/// and not a copy.
public final class EngineSettings: Sendable {
    /// The time from the last pong, or from opening, to the next ping.
    public let pingInterval: Int64
    /// The time within which a ping must be answered.
    public let pingTimeout: Int64
    /// The maximum size of a POST body.
    public let maxPayload: Int
    /// The maximum number of packets in a POST: more than a real client collects, and far fewer
    /// than fit into `maxPayload`.
    public let postPackets: Int
    /// The maximum number of packets in one polling response. The python-engineio client drops a
    /// session that exceeds 16.
    public let answerPackets: Int
    /// The maximum size of a polling response. A single packet, or a pair, may exceed it.
    public let answerBytes: Int
    /// The maximum number of packets waiting for a poll; one companion of the last packet may
    /// exceed it. Beyond it the session is closed.
    public let queuedPackets: Int
    /// The maximum number of bytes waiting for a poll. Beyond it the session is closed.
    public let queuedBytes: Int
    /// The time within which a probing WebSocket must complete the upgrade.
    public let upgradeTimeout: Int64
    /// How long the remaining packets wait for a poll after the server has closed the session.
    public let closeTimeout: Int64

    /// Creates settings; the defaults are those that stock clients expect.
    public init(
        pingInterval: Int64 = 25_000, pingTimeout: Int64 = 20_000, maxPayload: Int = 1_000_000,
        postPackets: Int = 16_384,
        answerPackets: Int = 16, answerBytes: Int = 1_000_000, queuedPackets: Int = 4096,
        queuedBytes: Int = 4 << 20,
        upgradeTimeout: Int64 = 10_000, closeTimeout: Int64 = 10_000
    ) {
        precondition(
            answerPackets >= 2,
            "answerPackets is \(answerPackets), but a packet and its companion need 2.")
        self.pingInterval = pingInterval
        self.pingTimeout = pingTimeout
        self.maxPayload = maxPayload
        self.postPackets = postPackets
        self.answerPackets = answerPackets
        self.answerBytes = answerBytes
        self.queuedPackets = queuedPackets
        self.queuedBytes = queuedBytes
        self.upgradeTimeout = upgradeTimeout
        self.closeTimeout = closeTimeout
    }
}
