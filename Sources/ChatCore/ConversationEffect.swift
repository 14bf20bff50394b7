public import ChatModel

/// Who asked: a loop, and which of its requests. Request 0 wants no answer.
public struct RequestOrigin: Sendable {
    public let loop: LoopID
    public let request: RequestID
    /// It has been asked before and may have been done: what finds itself done already is no error.
    public let isRetry: Bool
    /// Where the loop keeps its feed of the conversation.
    public let feedSlot: UInt32

    public init(
        loop: LoopID, request: RequestID, isRetry isRepeat: Bool = false,
        feedSlot place: UInt32 = .max
    ) {
        self.loop = loop
        self.request = request
        self.isRetry = isRepeat
        self.feedSlot = place
    }

    /// Whether it is the same request, asked again perhaps.
    func isSame(as other: RequestOrigin) -> Bool {
        self.request == other.request && self.loop == other.loop
    }
}

/// A loop's number for something it waits for an answer to.
public typealias RequestID = UInt64

/// What a conversation wants done.
public enum ConversationEffect: Sendable {
    /// Joins this turn's batch. When it is stored, `stored` is called with the same change, revision and asker.
    case write(Write.Change, revision: Revision, origin: RequestOrigin?)
    case answer(ChatAnswer, to: RequestOrigin)
    /// For every loop that listens. A durable change carries its revision, what is said by the way 0. The loop that
    /// asked for it finds its answer in the same event.
    case event(ChatEvent, revision: Revision, origin: RequestOrigin?)
    /// For the loops alone on which this user is present.
    case notify(ChatEvent, LoopSet)
    /// Read this message from the store and hand it to `found`.
    case lookUp(SequenceNumber, MessageLookup)
    /// Read what the store knows of the conversation and hand it to `loaded`; commands wait.
    case load
    /// Read the newest messages' authors and client ids and hand them to `remember`; commands wait.
    case loadRecents
    /// Read so many messages above this one and hand the page to `reconcile`; commands wait.
    case readHistory(after: SequenceNumber, limit: Int)
    /// Ask all loops for what they hold of this conversation; it comes as `held`.
    case queryHolders
    /// The store has what it had forgotten: something for operators to know.
    case recovered(RecoveryCounts)
    /// What is known of the store's side is not to be believed: give up what is under way, and load again.
    case invalidate
    /// Loops that listen may have missed something: they are to attach again.
    case requestReattach
    /// Call `tick` when this monotonic millisecond has come.
    case wake(at: Int64)
}

/// Why a message is looked up.
public enum MessageLookup: Sendable {
    /// It answers a send that repeats the one it came from; should it turn out to be another's, the send goes on.
    case repeatedSend(MessageBody, RequestOrigin)
    case edit(content: String, by: Principal, RequestOrigin)
    case delete(by: Principal, RequestOrigin)

    public var origin: RequestOrigin {
        switch self {
        case .repeatedSend(_, let origin), .edit(_, _, let origin), .delete(_, let origin): origin
        }
    }

    var isOfSend: Bool { if case .repeatedSend = self { true } else { false } }
}
