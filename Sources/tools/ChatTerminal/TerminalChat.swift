import ConfabClient
import EventLoop

/// The chat of a terminal: typed lines and events of conversations go in, decisions come out.
///
/// One conversation is current: lines are sent to it, and only its messages are displayed. The
/// others count theirs.
struct TerminalChat {
    struct ChatSettings {
        var dialect: ChatDialect
        /// Whether a person reads and types. A program receives no history, because it would take
        /// old messages for new ones. It does not mark messages as read, and it does not wait
        /// forever.
        var isInteractive: Bool
        /// Prefix of the ids that lines are sent under; unique to this process.
        var localIDPrefix: String
        /// The user and the server, for the status line.
        var account = ""
    }

    let settings: ChatSettings
    var rooms: [TerminalRoom]
    var currentIndex = 0
    private var nextLineNumber = 1
    var failedCount = 0
    var inputHasEnded = false
    var quitsAt: MonotonicTime?
    private(set) var hasExited = false

    static let historyLimit = 20
    private static let lineLimit = 1000
    private static let pendingCommandLimit = 100
    /// How long a program waits for the connection to come back.
    static let programReconnectTimeout = Duration.seconds(60)
    /// How long the client waits for outstanding answers after `/quit`.
    static let quitTimeout = Duration.seconds(5)

    /// - Parameter first: the conversation that the command names.
    init(_ settings: ChatSettings, first: TerminalRoom) {
        self.settings = settings
        self.rooms = [first]
    }

    var current: TerminalRoom {
        get { self.rooms[self.currentIndex] }
        set { self.rooms[self.currentIndex] = newValue }
    }

    func supports(_ capability: ClientCapability) -> Bool {
        self.current.capabilities.contains(capability)
    }

    /// Whether more lines are accepted. Otherwise the input is not read further.
    var acceptsInput: Bool {
        self.quitsAt == nil
            && self.rooms.allSatisfy {
                $0.unsent.count < Self.lineLimit && $0.pendingCommands < Self.pendingCommandLimit
            }
    }

    var status: ChatStatus {
        let room = self.current
        var status = ChatStatus(
            connection: room.connectionText, typing: room.typing.values.sorted(),
            progress: room.progress, conversation: room.label)
        status.unread = self.rooms.enumerated().compactMap { index, room in
            index == self.currentIndex || room.unreadCount == 0
                ? nil : .init(conversation: room.label, count: room.unreadCount)
        }
        status.account = self.settings.account
        return status
    }

    /// The header of a screen.
    mutating func greet(into steps: inout [TerminalStep]) {
        guard self.settings.isInteractive else { return }
        let title = self.settings.dialect.title
        let conversation = self.current.id.isEmpty ? "" : ": \(self.current.label)"
        let account = self.settings.account
        self.show(
            .notice(
                """
                Confab\(conversation), \(account), \(title) protocol. /help explains the commands \
                and the ticks.
                """), into: &steps)
    }

    // MARK: Input

    mutating func typed(_ text: String, at now: MonotonicTime, into steps: inout [TerminalStep]) {
        // The server rejects messages that contain only white space.
        guard text.unicodeScalars.contains(where: { !$0.properties.isWhitespace }) else { return }
        if text.contains("\n") || !text.hasPrefix("/") {
            self.post(text, into: &steps)
        } else if text.hasPrefix("//") {
            self.post(String(text.dropFirst()), into: &steps)
        } else {
            self.execute(text, at: now, into: &steps)
        }
    }

    /// The user has changed the line that is being typed.
    mutating func editing(_ line: String, into steps: inout [TerminalStep]) {
        guard self.supports(.typing), self.current.hasJoined else { return }
        let isTyping = !line.isEmpty && !line.hasPrefix("/")
        self.act(.typing(isTyping), into: &steps)
    }

    /// The input has ended: the chat exits as soon as everything is answered.
    mutating func inputEnded(at now: MonotonicTime) {
        self.inputHasEnded = true
        if self.settings.isInteractive {
            self.quitsAt = self.quitsAt ?? now.advanced(by: Self.quitTimeout)
        }
    }

    mutating func post(
        _ text: String, to: String? = nil, replyTo: Int? = nil, into steps: inout [TerminalStep]
    ) {
        let localID = "\(self.settings.localIDPrefix)-\(self.nextLineNumber)"
        self.nextLineNumber += 1
        self.current.unsent.append((localID, text))
        var references = LineReferences(replyTo: replyTo)
        if self.supports(.messageFeatures) {
            references.mentioned = self.current.people.mentioned(in: text)
        }
        self.act(.post(text, localID: localID, to: to, references), into: &steps)
    }

    /// Does something in the current conversation.
    func act(_ action: RoomAction, into steps: inout [TerminalStep]) {
        steps.append(.act(action, in: self.current.id))
    }

    mutating func show(_ line: ChatLine, into steps: inout [TerminalStep]) {
        self.current.record(line)
        steps.append(.show(line))
    }

    mutating func reject(_ message: String, into steps: inout [TerminalStep]) {
        self.failedCount += 1
        self.show(.error(message), into: &steps)
    }

    // MARK: Turns

    mutating func tick(at now: MonotonicTime, into steps: inout [TerminalStep]) {
        if let quitsAt = self.quitsAt, now >= quitsAt { self.exit(into: &steps) }
    }

    /// Ends a turn: reports the newest read message once for all events of the turn, and exits if
    /// everything is done.
    mutating func finishTurn(into steps: inout [TerminalStep]) {
        if self.settings.isInteractive, self.current.state == .online,
            let id = self.current.displayedID
        {
            self.current.displayedID = nil
            if self.supports(.receipts) { self.act(.read(id), into: &steps) }
        }
        let isDone = self.rooms.allSatisfy { room in
            room.unsent.isEmpty && room.pendingCommands == 0
                && (self.settings.isInteractive || room.hasJoined && room.state == .online)
        }
        if self.inputHasEnded, isDone { self.exit(into: &steps) }
    }

    // MARK: Exit

    /// Exits with status 1.
    mutating func giveUp(into steps: inout [TerminalStep]) {
        self.exit(hasFailed: true, into: &steps)
    }

    mutating func exit(hasFailed: Bool = false, into steps: inout [TerminalStep]) {
        guard !self.hasExited else { return }
        self.hasExited = true
        let unsent = self.rooms.flatMap(\.unsent)
        // An interactive user has seen the errors and carried on, so they do not fail the exit
        // status.
        let hasFailed =
            hasFailed || !unsent.isEmpty || !self.settings.isInteractive && self.failedCount > 0
        if let first = unsent.first {
            let text = SafeText.line(first.text, limit: 60)
            let sentence =
                unsent.count == 1
                ? "A line was not sent: \(text)"
                : "\(unsent.count) lines were not sent; the first is: \(text)"
            self.show(.error(sentence), into: &steps)
        }
        for room in self.rooms where room.state != .refused && room.state != .closed {
            steps.append(.act(.close, in: room.id))
        }
        steps.append(.exit(hasFailed ? 1 : 0))
    }
}
