import ConfabClient
import EventLoop

/// The state of one conversation in the terminal.
struct TerminalRoom {
    let id: String
    /// The features of its protocol.
    let capabilities: Set<ClientCapability>
    var state = ClientState.offline
    var hasJoined = false
    /// When the connection was lost; nil while connected.
    var lostAt: MonotonicTime?
    var presence = PresenceList()
    /// Whether the server has reported who is online. Presence events before that are not
    /// displayed.
    var hasInitialPresence = false
    /// The names of the users who are typing, by id.
    var typing: [String: String] = [:]
    /// The newest stored message of the user.
    var newestOwn: (id: Int, progress: MessageState)?
    /// The texts of messages that are not stored, in order.
    var unsent: [(localID: String, text: String)] = []
    /// Commands whose answers are outstanding.
    var pendingCommands = 0
    /// The newest message of another user that was displayed but not yet reported as read.
    var displayedID: Int?
    /// Messages of other users that were not displayed.
    var unreadCount = 0
    /// The newest lines, for a redrawn screen.
    private(set) var lines: [ChatLine] = []

    private static let lineLimit = 200

    init(_ id: String, _ capabilities: Set<ClientCapability>) {
        self.id = id
        self.capabilities = capabilities
    }

    /// The name to display.
    var label: String { self.id.isEmpty ? "inbox" : SafeText.line(self.id, limit: 40) }

    mutating func record(_ line: ChatLine) {
        self.lines.append(line)
        if self.lines.count > Self.lineLimit { self.lines.removeFirst() }
    }

    /// The text about the connection in the status line; nil while connected.
    var connectionText: String? {
        switch self.state {
        case .online, .closed, .refused: nil
        case .connecting, .offline, .waiting:
            self.lostAt == nil ? "connecting" : "reconnecting"
        }
    }

    var progress: MessageState? { self.unsent.isEmpty ? self.newestOwn?.progress : .sending }
}

/// A decision of the terminal's chat; `ChatTerminalLoop` carries it out.
enum TerminalStep: Equatable {
    case show(ChatLine)
    /// Do something in a conversation.
    case act(RoomAction, in: String)
    /// Open a conversation.
    case open(String)
    /// Clear the screen, and show the lines of the current conversation.
    case redraw
    /// Close all conversations, and end the program with this exit status.
    case exit(Int32)
}

/// Something to do in a conversation.
enum RoomAction: Equatable {
    case post(String, localID: String, to: String?)
    case discard(localID: String)
    case edit(Int, String)
    case delete(Int)
    case history(Int)
    case members
    case typing(Bool)
    case read(Int)
    case close
}

/// The answer to an action.
enum ActionAnswer: Equatable {
    case done
    case messages([ChatMessage])
    case members([String])
    case failed(String)
}
