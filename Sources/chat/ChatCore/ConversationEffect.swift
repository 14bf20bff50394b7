public import ChatModel

/// An action that a conversation requires from its owner.
public enum ConversationEffect: Sendable {
    /// Adds a write to the batch of this turn. When it is stored, `stored` is called with the same
    /// change, revision and origin.
    case write(Write.Change, revision: Revision, origin: RequestOrigin?)
    case answer(ChatAnswer, to: RequestOrigin)
    /// Publishes to every subscribed loop. A durable change carries its revision, an ephemeral
    /// event 0. The requesting loop finds its answer in the same event.
    case event(ChatEvent, revision: Revision, origin: RequestOrigin?)
    /// Notifies only the loops on which this user is present.
    case notify(ChatEvent, LoopSet)
    /// Posts the mention of a stored message to the inboxes of these users. Without the post they
    /// find it in their lists, as an unread mention, so no retry outlives the owner.
    indirect case mention([UserID], in: Message)
    /// Reads this message from the store for `lookedUp`; of a message that has left the history,
    /// whether replies in its thread are retained.
    case lookUp(SequenceNumber, isThread: Bool)
    /// Reads the stored conversation for `loaded`; commands wait.
    case load
    /// Reads the authors and ids of the newest messages for `loadedRecents`; commands wait.
    case loadRecents
    /// Reads up to `limit` messages above this one for `reconcile`; commands wait.
    case readHistory(after: SequenceNumber, limit: Int)
    /// Queries all loops for retained changes of this conversation. They arrive as `offerRetained`.
    case queryHolders
    /// The store has what it had lost. Operators see the counts.
    case recovered(RecoveryCounts)
    /// The loaded state may be wrong: abandon what is in flight, and load again.
    case invalidate
    /// Subscribed loops may have missed something and must attach again.
    case requestReattach
    /// Call `tick` at this monotonic millisecond.
    case wake(at: Int64)
}

/// The purpose of a message lookup.
enum MessageLookup: Sendable {
    /// Answers a repeated send with its message. If that is another message, the send is executed.
    case repeatedSend(MessageBody, RequestOrigin)
    case amend(Amendment, by: Principal, RequestOrigin)
    /// Stores the reactions of the message's `ReactionBatch`.
    case react
    /// Finds the thread of a reply; its send waits.
    case replyTarget

    var isDeletion: Bool { if case .amend(.deleted, _, _) = self { true } else { false } }
    var isOfReplyTarget: Bool { if case .replyTarget = self { true } else { false } }
}
