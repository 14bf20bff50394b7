import Bytes

/// What a server said, in no protocol's words.
enum ServerEvent: Equatable {
    /// One is in. What was missed, or the newest messages the first time, oldest first; nil where the protocol has no history.
    case joined([ChatMessage]?)
    case message(ChatMessage)
    /// For this person alone.
    case direct(ChatMessage, to: String)
    /// The line is stored; nil for the number where it has none.
    case stored(localID: String, id: Int?, at: Timestamp?)
    /// The line is not stored, nil where it is not known which. `retryAfter` in seconds.
    case sendFailed(localID: String?, reason: String, retryAfter: Double?)
    /// What was asked for, oldest first.
    case history([ChatMessage])
    case members([String])
    case edited(ChatMessage)
    case deleted(ChatMessage)
    case typing(user: String, name: String, isTyping: Bool)
    case status(id: Int, DeliveryStatus)
    /// Somebody else has read everything up to this message.
    case readThrough(Int)
    case presence(user: String, name: String, isOnline: Bool)
    case onlineCount(online: Int)
    /// Any other error; nil where it is not known what it is about.
    case requestFailed(ClientRequestKind?, reason: String, retryAfter: Double?)
    /// What is below this number is gone.
    case truncated(oldestID: Int)
    /// What was seen is no history of this server's, a restored backup perhaps, whose newest message is this one. What follows is live.
    case reset(head: Int)
    /// Who one is.
    case identified(String)
    case notice(String)
    /// The server wants no more of this client.
    case ended(String)
    /// Not of the protocol.
    case malformed
}

/// What an error may be about.
enum ClientRequestKind: Equatable {
    case join, history, edit, delete, members
    /// Typing and receipts, of which nobody needs to know that they came too often.
    case ephemeral
}
