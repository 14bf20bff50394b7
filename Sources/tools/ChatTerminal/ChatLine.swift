import ConfabClient

/// An entry for the display.
enum ChatLine: Equatable {
    case message(ChatMessage)
    /// A message to one user.
    case direct(ChatMessage, to: String)
    case edited(ChatMessage)
    case deleted(ChatMessage)
    /// The reactions to a message that is not on the screen have changed.
    case reactions(ChatMessage)
    /// The status of one of the user's own messages has changed.
    case status(id: Int, MessageState)
    /// Presence changes, and answers to commands.
    case notice(String)
    /// Terms with their explanations.
    case list([TermEntry])
    /// An error.
    case error(String)
}

/// A term of a list, for instance a command.
struct TermEntry: Equatable {
    let term: String
    let text: String
}

/// The state that the status line and the prompt display.
struct ChatStatus: Equatable {
    /// Nil while connected.
    var connection: String?
    /// Names of the users who are typing.
    var typing: [String] = []
    /// The progress of the user's newest message; nil before the first.
    var progress: MessageState?
    /// The current conversation.
    var conversation = ""
    /// The other conversations with new messages, and their number.
    var unread: [UnreadCount] = []
    /// The user and the server.
    var account = ""

    struct UnreadCount: Equatable {
        let conversation: String
        let count: Int
    }
}

extension MessageState {
    /// For lines, for instance `#7 is read.`
    var label: String {
        switch self {
        case .sending: "sending"
        case .failed: "not sent"
        case .sent: "sent"
        case .delivered: "delivered"
        case .read: "read"
        case .deleted: "deleted"
        }
    }
}
