public import ChatModel

/// Who asked: a loop, and which of its requests. Request 0 wants no answer.
public struct Origin: Sendable, Hashable {
    public let loop: OwnerID
    public let request: RequestID

    public init(loop: OwnerID, request: RequestID) {
        self.loop = loop
        self.request = request
    }
}

/// A loop's number for something it waits for an answer to.
public typealias RequestID = UInt64

/// What a conversation wants done.
public enum ConversationEffect: Sendable {
    /// Joins this turn's batch.
    case write(Write.Change, revision: Revision)
    case answer(ChatAnswer, to: Origin)
    /// For every loop that listens. A durable change carries its revision, what is said by the way 0. The loop that
    /// asked for it finds its answer in the same event.
    case event(ChatEvent, revision: Revision, asked: Origin?)
    /// For the loops alone on which this user is present.
    case tell(ChatEvent, [OwnerID])
    /// Read this message from the store and hand it to `found`.
    case find(SequenceNumber, Search)
    /// Read the newest messages' authors and client ids and hand them to `remember`; the command waits.
    case recall
    /// Call `tick` when this monotonic millisecond has come.
    case wake(at: Int64)
}

/// Why a message is looked up.
public enum Search: Sendable {
    /// It answers a send that repeats the one it came from; should it turn out to be another's, the send goes on.
    case repeated(MessageBody, Origin)
    case edit(content: String, by: Actor, Origin)
    case delete(by: Actor, Origin)
}
