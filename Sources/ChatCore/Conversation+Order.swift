public import ChatModel

/// The order of what one loop sends: nothing is taken before what it names.
extension Conversation {
    /// It will be asked again. Of a send: what its loop sends behind it is not taken before.
    mutating func refuseForNow(_ origin: Origin, isSend: Bool, into effects: inout [ConversationEffect]) {
        if isSend { self.listeners.forgetTurns(of: origin.loop) }
        effects.append(.answer(.failed(.unavailable), to: origin))
    }

    /// Whether a send comes in its turn. Else one before it was lost or refused, and it is to be asked again behind that one.
    public mutating func takes(_ turn: Turn, of loop: OwnerID) -> Bool {
        turn == .none || self.listeners.takes(turn, of: loop)
    }
}
