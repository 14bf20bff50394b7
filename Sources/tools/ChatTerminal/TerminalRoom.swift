import ConfabClient
import EventLoop

/// The state of one conversation in the terminal.
struct TerminalRoom {
    let id: String
    /// The features of its protocol.
    let capabilities: Set<ClientCapability>
    var state = ClientState.offline
    var hasJoined = false
    /// The user has asked to end its membership.
    var isLeaving = false
    /// When the connection was lost; nil while connected.
    var lostAt: MonotonicTime?
    var presence = PresenceList()
    /// Who may be mentioned.
    var people = PeopleList()
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

    /// Replaces a message in the recorded lines. Returns false if it is in none.
    mutating func update(_ message: ChatMessage) -> Bool {
        var isRecorded = false
        for index in self.lines.indices {
            guard case .message(let known) = self.lines[index], known.id == message.id else {
                continue
            }
            self.lines[index] = .message(message)
            isRecorded = true
        }
        return isRecorded
    }

    /// Shows the present text of a message in recorded replies to it. Returns false if there are
    /// none.
    mutating func quote(_ quoted: ChatMessage) -> Bool {
        var isQuoted = false
        for index in self.lines.indices {
            guard case .message(var reply) = self.lines[index], reply.replyTo == quoted.id else {
                continue
            }
            reply.replyExcerpt = quoted.excerpt
            self.lines[index] = .message(reply)
            isQuoted = true
        }
        return isQuoted
    }

    /// The message in the recorded lines.
    func recorded(_ id: Int) -> ChatMessage? {
        for case .message(let message) in self.lines where message.id == id { return message }
        return nil
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
    /// A line that is on the screen has changed. Without a screen, print this one.
    case update(ChatLine)
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
    case post(String, localID: String, to: String?, LineReferences = LineReferences())
    case discard(localID: String)
    case edit(Int, String)
    case delete(Int)
    case history(Int)
    case members
    case leave
    case react(Int, String, isOn: Bool)
    case pin(Int)
    case unpin(Int)
    case pins
    case thread(Int)
    case search(String)
    case typing(Bool)
    case read(Int)
    case close
}

/// What a line refers to beside its text.
struct LineReferences: Equatable {
    var replyTo: Int?
    var mentioned = MentionedUsers.none
}

/// The answer to an action.
enum ActionAnswer: Equatable {
    case done
    /// In the order of the display.
    case messages([ChatMessage])
    /// - Parameter hasMore: they are not all.
    case members([String], hasMore: Bool = false)
    case failed(String)
}
