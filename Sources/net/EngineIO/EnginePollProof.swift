/// The proof that the answer to a poll has arrived at the client.
public enum EnginePollProof: Sendable, Equatable {
    /// The next poll, because a client polls again after it has received the answer.
    case nextPoll
    /// A poll with another mark. A poll with the same mark repeats this one: a proxy repeats a
    /// request whose connection broke.
    case otherMark(UInt64)
    /// `EngineSession.answerArrived`: the poll has no mark, and may end unnoticed with the node
    /// that forwarded it.
    case report

    var isMark: Bool { if case .otherMark = self { true } else { false } }
}
