/// What a chat decides to do; the shell around it does it.
enum ChatStep: Equatable {
    /// Connect, from the message with this id on where there is one.
    case connect(after: Int?)
    case send(String)
    case show(ChatLine)
    /// Close the connection in good order.
    case close
    /// Give the connection up as it is.
    case drop(ClientError)
    /// It is over; the connection is no longer needed.
    case exit(Int32)
}

/// Something to be seen.
enum ChatLine: Equatable {
    case message(ChatMessage, isMine: Bool)
    /// For one person alone.
    case direct(ChatMessage, to: String, isMine: Bool)
    case edited(ChatMessage)
    case deleted(ChatMessage)
    /// One's own message got further.
    case status(id: Int, MessageProgress)
    /// Who comes and goes, what commands answer.
    case notice(String)
    /// What went wrong.
    case error(String)
}

/// How far one's own message has come.
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

/// What is the case at the moment, for the lines at the screen's end.
struct ChatStatus: Equatable {
    /// Nil while all is well.
    var connection: String?
    /// Names of those who type.
    var typing: [String] = []
    /// Of the newest message of one's own; nil before the first.
    var progress: MessageProgress?
}
