/// A request that another node forwarded, at the node that has its session.
struct InboundRequest: Sendable {
    /// The node that has the client's connection.
    var node: UInt64
    var loop: UInt16
    var kind: NodeSessionRequest.Kind
    /// For a POST: the session has processed the head.
    var hasProcessedHead = false
    /// When the other node sent the request last. It repeats the request until it gets a reply.
    var lastRequestedAt: Int64
    /// Nil while the request is pending.
    var reply: String?

    /// After this time without a repetition the other node is assumed to be dead, and its poll or
    /// incomplete POST ends. Replies of ended sessions are retained for the same time.
    static let timeoutMilliseconds: Int64 = 10_000
    /// How many requests of one session are recorded.
    static let perSessionLimit = 32
}

/// The reply of a session that ended or moved to another node.
///
/// A repeated request whose reply was lost gets the same reply.
struct RetainedReply: Sendable {
    let text: String
    let until: Int64

    /// How many replies of a loop's ended sessions are retained.
    static let limit = 4096

    init(_ text: String, at now: Int64) {
        self.text = text
        self.until = now + InboundRequest.timeoutMilliseconds
    }
}
