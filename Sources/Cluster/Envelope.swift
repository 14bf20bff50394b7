public import ChatCore
public import ChatModel

/// What travels between two loops, of one node or of two: the same letter and the same road for both.
public struct Envelope: Sendable {
    public let from: OwnerID
    public let to: OwnerID
    /// 1, 2, 3 … for this pair, so that the receiver sees what never came.
    public let number: UInt64
    /// Empty in a tick, which repeats the last number and takes none.
    public var items: [Item]

    public init(from: OwnerID, to: OwnerID, number: UInt64, items: [Item]) {
        self.from = from
        self.to = to
        self.number = number
        self.items = items
    }

    public enum Item: Sendable {
        /// For an owner: what a session asks, or what a loop tells of its listeners. Request 0 wants no answer.
        case input(ConversationKey, ConversationInput, RequestID)
        /// From an owner: the answer to a request.
        case answer(RequestID, ChatAnswer)
        /// From an owner to a loop that listens. A durable change has a revision; `answering` is the request of this
        /// loop's that asked for it, or 0.
        case event(ConversationKey, ChatEvent, Revision, answering: RequestID)
        /// From an owner that has lost what it knew of a conversation's listeners.
        case attachAgain(ConversationKey)
        /// From anybody who has missed envelopes of yours: attach again whatever I own.
        case resynchronize
    }
}
