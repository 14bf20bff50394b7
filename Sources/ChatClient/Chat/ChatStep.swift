/// A decision of a chat session; `ChatTerminalLoop` carries it out.
enum ChatStep: Equatable {
    /// Connect, and resume after the message with this id if there is one.
    case connect(after: Int?)
    case send(String)
    case show(ChatLine)
    /// Close the connection with a close frame.
    case close
    /// Drop the connection without a close frame.
    case drop(ClientError)
    /// End the program with this exit status. The connection is no longer needed.
    case exit(Int32)
}

/// An entry for the display.
enum ChatLine: Equatable {
    case message(ChatMessage, isMine: Bool)
    /// A message to one user.
    case direct(ChatMessage, to: String, isMine: Bool)
    case edited(ChatMessage)
    case deleted(ChatMessage)
    /// The status of one of the user's own messages has changed.
    case status(id: Int, MessageProgress)
    /// Presence changes, and answers to commands.
    case notice(String)
    /// An error.
    case error(String)
}

/// The progress of one of the user's own messages.
enum MessageProgress: Int, Comparable {
    case sending, stored, delivered, read

    static func < (left: MessageProgress, right: MessageProgress) -> Bool {
        left.rawValue < right.rawValue
    }

    var label: String {
        switch self {
        case .sending: "sending"
        case .stored: "sent"
        case .delivered: "delivered"
        case .read: "read"
        }
    }
}

/// The state that the status line and the prompt display.
struct ChatStatus: Equatable {
    /// Nil while connected.
    var connection: String?
    /// Names of the users who are typing.
    var typing: [String] = []
    /// The progress of the user's newest message; nil before the first.
    var progress: MessageProgress?
}
