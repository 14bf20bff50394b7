public import ChatModel

/// The order of what one loop sends: nothing is taken before what it names.
extension Conversation {
    /// It will be asked again. Of a send: what its loop sends behind it is not taken before.
    mutating func refuseTemporarily(
        _ origin: RequestOrigin, isSend: Bool, into effects: inout [ConversationEffect]
    ) {
        if isSend { self.subscribers.resetSendOrder(of: origin.loop) }
        effects.append(.answer(.failed(.unavailable), to: origin))
    }

    /// Whether a send comes in its turn. Else one before it was lost or refused, and it is to be asked again behind that one.
    public mutating func accepts(_ turn: SendOrder, from loop: LoopID) -> Bool {
        turn == .none || self.subscribers.accepts(turn, from: loop)
    }
}
