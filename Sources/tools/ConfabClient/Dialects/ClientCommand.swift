/// A command to the server, independent of the protocol.
public enum ClientCommand: Sendable, Equatable {
    case send(PendingMessage)
    /// Requests a page of the history.
    case page(PageQuery)
    case edit(Int, String)
    case delete(Int)
    /// Adds a reaction to a message, or removes it.
    case react(Int, String, isOn: Bool)
    case pin(Int)
    case unpin(Int)
    /// Requests the pinned messages.
    case pins
    /// Requests a page of the thread that this message began.
    case thread(Int, PageQuery)
    case search(String, before: Int?, limit: Int)
    /// Requests the members of the conversation.
    case members
    case typing(Bool)
    /// Reports everything up to this message as read.
    case read(Int)
}

/// Which messages a page contains, and how many at most.
public enum PageQuery: Sendable, Equatable {
    case newest(Int)
    case before(Int, Int)
    case after(Int, Int)
}
