/// An event of a conversation.
public enum ConversationEvent: Sendable, Equatable {
    /// The next message. Every message is delivered once, in the order of the numbers.
    case message(ChatMessage)
    /// A message was edited, or the message to which it replies was loaded for its excerpt.
    case change(ChatMessage)
    /// A message was deleted. It keeps its number and loses its text.
    case remove(ChatMessage)
    /// The reactions to a message have changed. The server reports them every 250 ms at most.
    case reactions(ChatMessage)
    /// A message was pinned.
    case pinned(ChatMessage, by: String)
    /// The pin of a message was ended. That of a deleted message ends silently.
    case unpinned(ChatMessage, by: String)
    /// `messages` replaces all earlier messages; `after` is the highest number that was delivered
    /// before.
    case reset(ResetReason, messages: [ChatMessage], after: Int?)
    /// A user started or stopped typing.
    case typing(user: String, name: String, isTyping: Bool)
    /// Users went online or offline; `online` is their number where the server sends no names.
    case presence([UserPresence], online: Int?)
    /// `user` read messages. Without `user`, the state of the client's own messages changed.
    case receipt(ids: [Int], status: MessageState, user: String?)
    /// A message of the outbox changed its state.
    case outbox(localID: String, SendState)
    /// The conversation was ended and can only be read; `by` is nil if the user is not known.
    case ended(by: String?)
    /// The creator or an admin has changed the conversation.
    case updated(ChangedConversation, by: String)
    /// An error that no call reports; `action` names the request that failed.
    case error(reason: String, action: String?)
    /// The connection changed its state.
    case state(StateChange)
    /// A message to one user (Agents).
    case direct(ChatMessage, to: String)
    /// A sentence of the server for the user.
    case notice(String)
}

/// The properties that the creator of a conversation and admins may change, after the change.
public struct ChangedConversation: Sendable, Equatable {
    public let title: String
    /// Whether only members, and users whose token lists the conversation, may enter.
    public let isClosed: Bool
    /// Whether users that are no members find it in the list.
    public let isListed: Bool
}

/// Why the loaded messages are replaced.
public enum ResetReason: String, Sendable {
    /// The newest messages on the first connection.
    case opened
    /// Messages or changes after the resume point are no longer retained.
    case truncated = "history truncated"
    /// The server has another history, for example a restored backup.
    case replaced = "history reset"
    /// The application did not take its events.
    case overflow
}

public struct UserPresence: Sendable, Equatable {
    public let user: String
    public let name: String
    public let isOnline: Bool
}

/// The state of a message of the outbox.
public enum SendState: Sendable, Equatable {
    case sending
    /// The server has stored it.
    case stored(ChatMessage)
    /// The server refused it for good; the reason is the server's.
    case failed(String)
    case discarded
}

/// The state of a connection.
public enum ClientState: String, Sendable {
    case connecting, online, offline
    /// Until the next attempt.
    case waiting
    /// The server refused the client for good; `retryNow()` tries again.
    case refused
    case closed
}

/// A change of the state of a connection.
public struct StateChange: Sendable, Equatable {
    public let state: ClientState
    /// Why the connection ended, as a sentence; empty if it did not.
    public var reason = ""
    /// The close code of the WebSocket, or the status of the HTTP response.
    public var code: Int?
    /// The time until the next attempt.
    public var retryAfter: Duration?
}

/// Why a call of the client fails. The description is a sentence for the user.
public enum ConfabError: Error, Sendable, Equatable, CustomStringConvertible {
    case url(WebSocketURLError)
    case noConversation(ChatDialect)
    /// The conversation of the option, and that of the URL.
    case twoConversations(String, String)
    case noToken
    case connection(ClientError)
    /// The server refused for good; a retry does not help.
    case refused(String)
    /// The conversation was ended and can only be read.
    case ended
    /// The server did not answer, or cannot serve the request at present.
    case unavailable(reason: String, retryAfter: Duration? = nil)
    /// The protocol does not have this request.
    case notSupported(String, ChatDialect)
    /// The outbox is full.
    case outboxFull
    case store(path: String, reason: String)
    case cancelled
    case closed

    /// Whether the same call may succeed later.
    public var retry: Bool {
        switch self {
        case .unavailable, .outboxFull, .cancelled: true
        case .connection(let error): error.isTransient
        default: false
        }
    }

    public var description: String {
        switch self {
        case .url(let error): error.description
        case .noConversation(let dialect): dialect.missingConversation
        case .twoConversations(let option, let url):
            "--conversation: \(option) differs from \(url) in the URL."
        case .noToken: "token: set a token, or a user's name to join as a guest."
        case .connection(let error): error.description
        case .refused(let reason), .unavailable(let reason, _): reason
        case .ended: "conversation ended"
        case .notSupported(let request, let dialect):
            "The \(dialect.title) protocol does not support \(request)."
        case .outboxFull: "outbox: \(PendingMessages.waitingLimit) messages are waiting already."
        case .store(let path, let reason): "store: \(path): \(reason)."
        case .cancelled: "The task was cancelled before the server answered."
        case .closed: "The client is closed."
        }
    }

    /// The error for a reason that the server gives.
    static func refusal(_ reason: String) -> ConfabError {
        reason == "conversation ended" ? .ended : .refused(reason)
    }
}
