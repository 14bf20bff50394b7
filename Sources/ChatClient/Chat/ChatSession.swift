import EventLoop

/// A chat in one conversation: what was typed, heard and lost goes in, what to do about it comes out. The protocol's words are its dialect's.
///
/// A line that was typed is kept until the server has said that it is stored, and is sent again, under the same id, on every new connection
/// until then; the server makes one message of however many came. One line is on its way at a time, because a server that takes some of
/// several and refuses others for their rate would change their order.
struct ChatSession {
    struct Settings {
        /// The token's subject; nil when it cannot be read.
        var user: String?
        /// Whether a person reads and types. A program gets no history that it may take for news, marks nothing as read, and is not
        /// kept waiting for ever.
        var isInteractive: Bool
        /// Begins the ids that lines are sent under; unlike any other session's.
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
    /// What one waits for on this connection in order to be in.
    var pendingJoin: JoinOptions?
    /// When that is asked for again because the server could not answer it.
    var joinRetryAt: MonotonicTime?
    /// When the connection was lost that is not back yet.
    var lostAt: MonotonicTime?
    var backoff = Backoff()
    var random: any RandomNumberGenerator & Sendable

    var user: String?
    var order = MessageOrder()
    /// When an answer came that waits for messages in front of it.
    var earlyAnswerSince: MonotonicTime?
    var presence = PresenceList()
    /// Who was here before the connection was lost.
    var hasInitialPresence = false
    /// Who types, and until when that is believed.
    var typingUsers: [String: (name: String, until: MonotonicTime)] = [:]

    var outbox = LineOutbox()
    /// Wishes whose answers are awaited.
    var pendingCommands: [ClientCommand] = []
    /// The newest message of one's own that the server has.
    var newestOwnMessage: (id: Int, progress: MessageProgress)?
    /// Others' newest message that was shown and not reported as read.
    var unreadID: Int?
    var reportedReadID = 0
    /// When others were last told that one types; nil when they believe that one does not.
    var typingSentAt: MonotonicTime?
    var failedCount = 0
    var inputHasEnded = false
    var quitsAt: MonotonicTime?

    static let historyLimit = 20
    private static let pendingCommandLimit = 100
    /// A program waits no longer for a connection to come back.
    static let programReconnectTimeout = Duration.seconds(60)
    /// Somebody who quits waits no longer for what is unanswered.
    static let quitTimeout = Duration.seconds(5)
    /// The server answers a send within 5 s, if it is there.
    private static let answerTimeout = Duration.seconds(20)
    /// What stands in front of an answer is behind it on the same connection, if it comes at all.
    private static let orderTimeout = Duration.seconds(5)

    init(
        _ settings: Settings, speaking dialect: any ClientDialect,
        using chance: any RandomNumberGenerator & Sendable
    ) {
        self.settings = settings
        self.dialect = dialect
        self.user = settings.user
        self.random = chance
    }

    /// Whether more lines are taken; who types has to wait until then.
    var acceptsInput: Bool {
        !self.outbox.isFull && self.pendingCommands.count < Self.pendingCommandLimit
            && self.quitsAt == nil
    }

    func supports(_ ability: ClientCapability) -> Bool {
        self.dialect.capabilities.contains(ability)
    }

    /// Whether the server takes more than the wish to come in.
    var canSendCommands: Bool {
        self.connection == .open && (self.pendingJoin == nil || !self.dialect.mustJoinBeforeSending)
    }

    // MARK: The connection

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
        let entrance = JoinOptions(
            after: self.order.lastID, limit: self.settings.isInteractive ? Self.historyLimit : 1)
        self.pendingJoin = entrance
        self.perform(self.dialect.join(entrance), at: now, into: &steps)
        if !self.dialect.mustJoinBeforeSending { self.resumeSending(at: now, into: &steps) }
    }

    /// What was asked and not answered is asked again, and the line whose turn it is leaves.
    mutating func resumeSending(at now: MonotonicTime, into steps: inout [ChatStep]) {
        for question in self.pendingCommands { self.send(question, into: &steps) }
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
        if wasOpen { steps.append(.show(.error("\(error.description) Connecting again."))) }
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
            if let retryAt = self.joinRetryAt, now >= retryAt, let entrance = self.pendingJoin {
                self.joinRetryAt = nil
                self.perform(self.dialect.join(entrance), at: now, into: &steps)
            }
            if let since = self.earlyAnswerSince, now.since(since) >= Self.orderTimeout {
                self.earlyAnswerSince = nil
                for message in self.order.deliverEarlyAnswers() { self.show(message, into: &steps) }
            }
        }
        self.typingUsers = self.typingUsers.filter { $0.value.until > now }
        if let quitsAt = self.quitsAt, now >= quitsAt { self.exit(into: &steps) }
    }

    /// After everything that happened at once: what is said once for all of it.
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

    /// Whether one may leave without missing an answer. A program wants to know that it could enter, even when it says nothing.
    private var hasAllAnswers: Bool {
        self.pendingCommands.isEmpty
            && (self.settings.isInteractive || self.hasJoined && self.pendingJoin == nil)
    }

    /// For the lines at the screen's end.
    var status: ChatStatus {
        var situation = ChatStatus(typing: self.typingUsers.values.map(\.name).sorted())
        switch self.connection {
        case .open: situation.connection = self.hasJoined ? nil : "entering"
        case .idle, .connecting, .waiting:
            situation.connection =
                self.lostAt == nil ? "connecting" : "connection lost; connecting again"
        case .ended: break
        }
        situation.progress = self.outbox.isEmpty ? self.newestOwnMessage?.progress : .sending
        return situation
    }

    // MARK: The dialect

    /// Sends what there is to say for a wish.
    mutating func send(_ wish: ClientCommand, into steps: inout [ChatStep]) {
        for frame in self.dialect.frames(for: wish) { steps.append(.send(frame)) }
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

    // MARK: The end

    /// Nothing more will come of it.
    mutating func giveUp(into steps: inout [ChatStep]) {
        self.exit(hasFailed: true, into: &steps)
    }

    mutating func exit(hasFailed: Bool = false, into steps: inout [ChatStep]) {
        guard self.connection != .ended else { return }
        // A person has seen what was refused, and gone on.
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
