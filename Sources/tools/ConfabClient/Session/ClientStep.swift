import EventLoop

/// A decision of a chat session; the client's loop carries it out.
enum ClientStep: Equatable {
    /// Connect, and resume after this message and revision if there is one.
    case connect(after: Int?, rev: Int?)
    case send(String)
    case emit(ConversationEvent)
    /// The answer to a request.
    case answer(Int, RequestAnswer)
    /// Write the new state of a message of the outbox to the store.
    case save(PendingMessage)
    /// The message is stored by the server or discarded: remove it from the store.
    case forget(String)
    /// Request another token: the server rejected the last one, or it expires soon.
    case requestToken
    /// Close the connection with a close frame.
    case close
    /// Drop the connection without a close frame.
    case drop(ClientError)
}

/// The answer to a request of the application.
enum RequestAnswer: Equatable {
    case message(ChatMessage?)
    case done
    /// Oldest first.
    case messages([ChatMessage])
    case found(FoundMessages)
    /// Whether there may be more.
    case older(Bool)
    case members([String])
    case failed(ConfabError)
}

/// A request of the application, or of the session itself, that the server answers.
struct PendingRequest {
    enum RequestKind: Equatable {
        case command(ClientCommand)
        /// The page before the loaded messages.
        case older(Int)
        /// The page after the last message. The session makes it by itself.
        case gap
        /// The message to which a loaded one replies. The session makes it by itself.
        case quoted(Int)
    }

    let id: Int?
    let kind: RequestKind
    var sentAt: MonotonicTime?
    var notBefore = MonotonicTime(nanoseconds: .min)
    /// How often it was sent.
    var tries = 0

    /// The kind that errors for this request name. Requests of one kind are answered in order.
    var errorKind: ClientRequestKind? {
        switch self.kind {
        case .older, .gap, .quoted, .command(.page), .command(.thread): .page
        case .command(.edit): .edit
        case .command(.delete): .delete
        case .command(.members): .members
        case .command(.react): .react
        case .command(.pin): .pin
        case .command(.unpin): .unpin
        case .command(.pins): .pins
        case .command(.search): .search
        case .command(.send), .command(.typing), .command(.read): nil
        }
    }

    /// Whether the session made the request.
    var isInternal: Bool {
        switch self.kind {
        case .gap, .quoted: true
        case .older, .command: false
        }
    }
}
