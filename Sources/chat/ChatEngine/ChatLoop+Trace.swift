internal import ChatCore
public import ChatModel

/// The steps of messages on this loop, for operators.
extension ChatLoop {
    /// The time of the following steps, in nanoseconds of the node's monotonic clock. Set it
    /// whenever the loop has read that clock.
    public var traceTime: Int64 {
        get { self.output.trace.time }
        set { self.output.trace.time = newValue }
    }

    /// Sets what to add to `traceTime` to get the wall clock that all nodes share, in nanoseconds.
    /// Set it about once a second.
    public mutating func setWallOffset(_ nanoseconds: Int64) {
        self.output.trace.wallOffset = nanoseconds
    }

    /// The microseconds from the accepting of a message to `traceTime`, as exact as the nodes'
    /// clocks agree; at least 0.
    public func microseconds(since acceptedAt: Int64) -> UInt64 {
        UInt64(max(0, self.output.trace.wallMicroseconds &- acceptedAt))
    }

    /// Records that a message was written to this many sockets of the feed's subscribers.
    ///
    /// - Parameter conversation: its `ConversationKey.hash`.
    public mutating func recordWritten(
        _ sequence: SequenceNumber, in conversation: Int, toSockets count: Int
    ) {
        self.output.trace.record(.written, in: conversation, sequence: sequence, count: count)
    }

    /// Records that a socket of a user other than the author has accepted these messages.
    public mutating func recordDelivered(
        _ range: ClosedRange<SequenceNumber>, in key: ConversationKey
    ) {
        self.output.trace.record(
            .delivered, in: key.hash, sequence: range.upperBound, count: range.count)
    }

    /// The steps of these messages on this loop, oldest first, and those of requests without an
    /// answer. Visits the whole ring.
    ///
    /// - Parameter messages: the numbers of messages by `ConversationKey.hash`.
    public func traceSteps(of messages: [Int: Set<SequenceNumber>]) -> [TraceRecord] {
        self.output.trace.steps(of: messages)
    }

    /// The messages that users sent through this loop, or received on it. Visits the whole ring.
    ///
    /// - Parameters:
    ///   - subscriptions: the conversations to which they are subscribed on this loop.
    ///   - since: the monotonic nanosecond after which the message was accepted or received.
    ///   - limit: the maximum number; the newest are returned.
    public func traceMessages(
        of users: [UserID], subscribedTo subscriptions: Set<Int>, since: Int64, limit: Int
    ) -> [MessageTrace.TracedMessage] {
        self.output.trace.messages(
            of: Set(users.map(MessageTrace.hash)), subscribedTo: subscriptions, since: since,
            limit: limit)
    }

    /// The conversation with this `ConversationKey.hash`, if it is in this loop's memory.
    public func conversation(withHash hash: Int) -> ConversationKey? {
        self.subscriptions.feeds.key(withHash: hash) ?? self.owner.key(withHash: hash)
    }
}
