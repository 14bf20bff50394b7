public import ChatEngine
public import ChatModel

/// A step of a message on one loop of this node, for operators.
public struct TracedStep: Sendable {
    public let conversation: ConversationKey
    /// Nil for a request whose answer has not arrived.
    public let message: SequenceNumber?
    public let loop: Int
    /// Microseconds since 1970, by this node's wall clock.
    public let at: Int64
    public let record: TraceRecord
}

/// A message that a user sent through one loop of this node, or received on it.
public struct TracedUserMessage: Sendable {
    /// Nil if the conversation is not in the loop's memory any more.
    public let conversation: ConversationKey?
    /// Nil while the message has no number.
    public let message: SequenceNumber?
    public let isAuthor: Bool
    /// Microseconds since 1970, by this node's wall clock.
    public let at: Int64
}

extension Gateway {
    /// The steps of messages on the loops that answer in time, by their numbers, and the steps of
    /// requests in these conversations that have no answer.
    public func traceSteps(
        of messages: [ConversationKey: Set<SequenceNumber>], within time: Duration
    ) async -> [TracedStep] {
        await self.requestAll(within: time) { reply in .traceSteps(messages) { reply($0) } }
            .flatMap(\.self)
    }

    /// The messages that a user sent or received on the loops that answer in time.
    ///
    /// - Parameters:
    ///   - past: how far back to look.
    ///   - limit: the maximum number for each loop; the newest are returned.
    public func traceMessages(
        of user: UserID, in tenant: String, past: Duration, limit: Int, within time: Duration
    ) async -> [TracedUserMessage] {
        let query = UserTraceQuery(user: user, tenant: tenant, past: past, limit: limit)
        return await self.requestAll(within: time) { reply in .traceMessages(query) { reply($0) } }
            .flatMap(\.self)
    }
}

/// Selects the messages from and to a user.
struct UserTraceQuery: Sendable {
    let user: UserID
    let tenant: String
    let past: Duration
    let limit: Int
}
