import EventLoop

/// A chat in one conversation: input, server events and disconnects go in, decisions come out. The
/// dialect encodes and decodes the protocol.
///
/// A typed line is kept until the server confirms that it is stored. Until then the session sends
/// it again on every new connection, under the same id, and the server stores it once. Only one
/// line is in flight at a time: a server that accepts some of several lines and rejects others for
/// their rate would change their order.
struct ChatSession {
    struct Settings {
        /// The token's subject; nil when it cannot be read.
        var user: String?
        /// Whether a person reads and types. A program receives no history, because it would take
        /// old messages for new ones. It does not mark messages as read, and it does not wait
        /// forever.
        var isInteractive: Bool
        /// Prefix of the ids that lines are sent under; unique to this session.
        var localIDPrefix: String
    }

    enum ConnectionState: Equatable {
        case idle
        case connecting
        case open
        case waiting(until: MonotonicTime)
        case ended
    }

    let settings: Settings
    var dialect: any ClientDialect
    var connection = ConnectionState.idle
    var hasJoined = false
    /// The join that has not been answered on this connection; nil after the client has joined.
    var pendingJoin: JoinOptions?
    /// When to send the join again after a temporary failure.
    var joinRetryAt: MonotonicTime?
    /// When the connection was lost; nil while connected.
    var lostAt: MonotonicTime?
    var backoff = Backoff()
    var random: any RandomNumberGenerator & Sendable

    var user: String?
    var order = MessageOrder()
    /// Since when an answer has been waiting for messages with lower numbers.
    var earlyAnswerSince: MonotonicTime?
    var presence = PresenceList()
    /// Whether the server has reported who is online. Presence events before that are not
    /// displayed.
    var hasInitialPresence = false
    /// The users who are typing, and until when that is assumed.
    var typingUsers: [String: (name: String, until: MonotonicTime)] = [:]

    var outbox = LineOutbox()
    /// Commands whose answers are outstanding.
    var pendingCommands: [ClientCommand] = []
    /// The newest stored message of the user.
    var newestOwnMessage: (id: Int, progress: MessageProgress)?
    /// The newest message of another user that was displayed but not yet reported as read.
    var unreadID: Int?
    var reportedReadID = 0
    /// When the client last reported that the user is typing; nil if others do not assume it.
    var typingSentAt: MonotonicTime?
    var failedCount = 0
    var inputHasEnded = false
    var quitsAt: MonotonicTime?

    static let historyLimit = 20
    private static let pendingCommandLimit = 100
    /// How long a program waits for the connection to come back.
    static let programReconnectTimeout = Duration.seconds(60)
    /// How long the client waits for outstanding answers after `/quit`.
    static let quitTimeout = Duration.seconds(5)
    /// A working server answers a send within 5 s.
    private static let answerTimeout = Duration.seconds(20)
    /// How long an early answer waits for the messages with lower numbers. They arrive on the same
    /// connection, shortly after the answer.
    private static let orderTimeout = Duration.seconds(5)

    init(
        _ settings: Settings, speaking dialect: any ClientDialect,
        using random: any RandomNumberGenerator & Sendable
    ) {
        self.settings = settings
        self.dialect = dialect
        self.user = settings.user
        self.random = random
    }

    /// Whether more lines are accepted. Otherwise the input is not read further.
    var acceptsInput: Bool {
        !self.outbox.isFull && self.pendingCommands.count < Self.pendingCommandLimit
            && self.quitsAt == nil
    }

    func supports(_ ability: ClientCapability) -> Bool {
        self.dialect.capabilities.contains(ability)
    }

    /// Whether the server accepts other commands than the join.
    var canSendCommands: Bool {
        self.connection == .open && (self.pendingJoin == nil || !self.dialect.mustJoinBeforeSending)
    }

    // MARK: Connection

    mutating func start(into steps: inout [ChatStep]) {
        self.connection = .connecting
        steps.append(.connect(after: nil))
    }

    mutating func opened(at now: MonotonicTime, into steps: inout [ChatStep]) {
        self.connection = .open
        self.hasInitialPresence = false
        self.presence = PresenceList()
        self.typingUsers = [:]
        self.typingSentAt = nil
        self.joinRetryAt = nil
        self.earlyAnswerSince = nil
        self.order.connectionOpened(replays: self.dialect.replaysMissedMessages)
        self.outbox.connectionOpened()
        self.dialect.connectionOpened()
        let join = JoinOptions(
            after: self.order.lastID, limit: self.settings.isInteractive ? Self.historyLimit : 1)
        self.pendingJoin = join
        self.perform(self.dialect.join(join), at: now, into: &steps)
        if !self.dialect.mustJoinBeforeSending { self.resumeSending(at: now, into: &steps) }
    }

    /// Sends unanswered commands again, and then the next line.
    mutating func resumeSending(at now: MonotonicTime, into steps: inout [ChatStep]) {
        for command in self.pendingCommands { self.send(command, into: &steps) }
        self.sendNext(at: now, into: &steps)
    }

    mutating func disconnected(
        _ error: ClientError, at now: MonotonicTime, into steps: inout [ChatStep]
    ) {
        guard self.connection != .ended else { return }
        let wasOpen = self.connection == .open
        if self.quitsAt != nil { return self.exit(into: &steps) }
        guard self.hasJoined || self.lostAt != nil, error.isTransient else {
            steps.append(.show(.error(error.description)))
            return self.giveUp(into: &steps)
        }
        let lostAt = self.lostAt ?? now
        self.lostAt = lostAt
        guard self.settings.isInteractive || now.since(lostAt) < Self.programReconnectTimeout else {
            steps.append(.show(.error(error.description)))
            return self.giveUp(into: &steps)
        }
        if wasOpen { steps.append(.show(.error("\(error.description) Reconnecting."))) }
        self.connection = .waiting(until: now.advanced(by: self.backoff.next(using: &self.random)))
    }

    mutating func tick(at now: MonotonicTime, into steps: inout [ChatStep]) {
        if case .waiting(let until) = self.connection, now >= until {
            self.connection = .connecting
            steps.append(.connect(after: self.order.lastID))
        }
        if self.connection == .open {
            if let age = self.outbox.ageOfUnanswered(at: now), age >= Self.answerTimeout {
                steps.append(.drop(.unresponsive(seconds: Int(age.components.seconds))))
            } else {
                self.sendNext(at: now, into: &steps)
            }
            if let retryAt = self.joinRetryAt, now >= retryAt, let join = self.pendingJoin {
                self.joinRetryAt = nil
                self.perform(self.dialect.join(join), at: now, into: &steps)
            }
            if let since = self.earlyAnswerSince, now.since(since) >= Self.orderTimeout {
                self.earlyAnswerSince = nil
                for message in self.order.deliverEarlyAnswers() { self.show(message, into: &steps) }
            }
        }
        self.typingUsers = self.typingUsers.filter { $0.value.until > now }
        if let quitsAt = self.quitsAt, now >= quitsAt { self.exit(into: &steps) }
    }

    /// Ends a turn: reports the newest read message once for all events of the turn, and exits if
    /// everything is done.
    mutating func finishTurn(into steps: inout [ChatStep]) {
        if self.connection == .open, self.settings.isInteractive, let id = self.unreadID,
            id > self.reportedReadID
        {
            self.reportedReadID = id
            if self.supports(.receipts) { self.send(.read(id), into: &steps) }
        }
        self.unreadID = nil
        if self.inputHasEnded, self.outbox.isEmpty, self.hasAllAnswers { self.exit(into: &steps) }
    }

    /// Whether the session may exit without missing an answer. A program also waits for the join,
    /// so that its exit status says whether joining worked.
    private var hasAllAnswers: Bool {
        self.pendingCommands.isEmpty
            && (self.settings.isInteractive || self.hasJoined && self.pendingJoin == nil)
    }

    /// The content of the status line and of the prompt.
    var status: ChatStatus {
        var status = ChatStatus(typing: self.typingUsers.values.map(\.name).sorted())
        switch self.connection {
        case .open: status.connection = self.hasJoined ? nil : "joining"
        case .idle, .connecting, .waiting:
            status.connection =
                self.lostAt == nil ? "connecting" : "connection lost; reconnecting"
        case .ended: break
        }
        status.progress = self.outbox.isEmpty ? self.newestOwnMessage?.progress : .sending
        return status
    }

    // MARK: Dialect

    /// Sends the frames of a command.
    mutating func send(_ command: ClientCommand, into steps: inout [ChatStep]) {
        for frame in self.dialect.frames(for: command) { steps.append(.send(frame)) }
    }

    mutating func perform(
        _ dialectSteps: [DialectStep], at now: MonotonicTime, into steps: inout [ChatStep]
    ) {
        for step in dialectSteps {
            switch step {
            case .send(let frame): steps.append(.send(frame))
            case .event(let event): self.handle(event, at: now, into: &steps)
            }
        }
    }

    // MARK: Exit

    /// Exits with status 1.
    mutating func giveUp(into steps: inout [ChatStep]) {
        self.exit(hasFailed: true, into: &steps)
    }

    mutating func exit(hasFailed: Bool = false, into steps: inout [ChatStep]) {
        guard self.connection != .ended else { return }
        // An interactive user has seen the errors and carried on, so they do not fail the exit
        // status.
        let hasFailed =
            hasFailed || !self.outbox.isEmpty
            || !self.settings.isInteractive && self.failedCount > 0
        if !self.outbox.isEmpty {
            let count = self.outbox.count
            let newest = SafeText.line(self.outbox.first?.text ?? "", limit: 60)
            steps.append(
                .show(
                    .error(
                        count == 1
                            ? "A line was not sent: \(newest)"
                            : "\(count) lines were not sent; the first is: \(newest)")))
        }
        if self.connection == .open {
            for frame in self.dialect.closingFrames { steps.append(.send(frame)) }
            steps.append(.close)
        }
        self.connection = .ended
        steps.append(.exit(hasFailed ? 1 : 0))
    }
}
