public import ChatModel

/// The order of the sends of one loop: a send is accepted only after the send that it names.
extension Conversation {
    /// Refuses a request that the loop will retry. After a refused send, later sends of the loop
    /// are refused until that one is retried.
    mutating func refuseTemporarily(
        _ origin: RequestOrigin, isSend: Bool, into effects: inout [ConversationEffect]
    ) {
        if isSend { self.subscribers.resetSendOrder(of: origin.loop) }
        effects.append(.answer(.failed(.unavailable), to: origin))
    }

    /// Whether a send is next in order. Otherwise an earlier send was lost or refused, and the loop
    /// retries both in order.
    public mutating func accepts(_ order: SendOrder, from loop: LoopID) -> Bool {
        order == .none || self.subscribers.accepts(order, from: loop)
    }
}
