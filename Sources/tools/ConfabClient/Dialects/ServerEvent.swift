public import Bytes

/// An event from the server, independent of the protocol.
public enum ServerEvent: Sendable, Equatable {
    /// The client has joined.
    case joined(JoinAnswer)
    case message(ChatMessage)
    /// A message to this user.
    case direct(ChatMessage, to: String)
    /// The line is stored. `id` is nil if the message is not numbered.
    case stored(localID: String, id: Int?, at: Timestamp?)
    /// The line was not stored; `localID` is nil if the server does not name the line. `retryAfter`
    /// is in seconds.
    case sendFailed(localID: String?, reason: String, retryAfter: Double?)
    /// The requested page, oldest message first.
    case page([ChatMessage])
    case members([String])
    case edited(ChatMessage)
    case deleted(ChatMessage)
    /// The reactions to a message, in their present state.
    case reactions(id: Int, rev: Int, [MessageReaction])
    /// The client's reaction is stored.
    case reacted(id: Int, rev: Int)
    case pinned(ChatMessage, by: String)
    case unpinned(ChatMessage, by: String)
    /// The pinned messages, newest pin first.
    case pins([ChatMessage])
    case found(FoundMessages)
    case typing(user: String, name: String, isTyping: Bool)
    case status(id: Int, MessageState)
    /// Another user has read everything up to this message.
    case readThrough(Int)
    /// Another user has read these messages.
    case read(by: String, ids: [Int])
    case presence(user: String, name: String, isOnline: Bool)
    case onlineCount(online: Int)
    /// Any other error; nil if the failed request is unknown.
    case requestFailed(ClientRequestKind?, reason: String, retryAfter: Double?)
    /// Messages below this number are no longer available.
    case truncated(oldestID: Int)
    /// The server has another history than before, for instance a restored backup; `head` is its
    /// newest message. Live messages follow.
    case reset(head: Int)
    /// The user's own id.
    case identified(String)
    case notice(String)
    /// The conversation was ended and can only be read; nil if the server does not name the user.
    case conversationEnded(by: String?)
    case conversationUpdated(ChangedConversation, by: String)
    /// The server has ended the session for good.
    case ended(String)
    /// Not a frame of the protocol.
    case malformed
}

/// The kinds of requests that errors name.
public enum ClientRequestKind: Sendable, Equatable {
    case join, page, edit, delete, members, react, pin, unpin, pins, search
    /// Typing and receipts. Their rate errors are not displayed.
    case ephemeral
}

/// The messages that a join returns, oldest first.
public enum JoinAnswer: Sendable, Equatable {
    /// On the first join: the newest messages, and the revision at which they were read.
    case newest([ChatMessage], rev: Int? = nil)
    /// On a later join: the newest messages, from the missed ones on if the server has them.
    case missed([ChatMessage])
    /// On a later join: the server sends the missed messages unasked. `head` is the newest of them
    /// or an earlier one; nil if the server does not report it.
    case replaying(head: Int?)
    /// On the first join, where the protocol has no history.
    case withoutHistory
}
