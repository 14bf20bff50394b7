import Bytes
import EventLoop

/// A client in one conversation: requests of the application, server events and disconnects go in,
/// decisions come out. The dialect encodes and decodes the protocol.
///
/// A message is retained until the server confirms that it is stored. Until then the session sends
/// it again on every new connection, under the same id, and the server stores it once.
struct ChatSession {
    struct Settings {
        /// The user's id; nil when the token cannot be read.
        var user: String?
        /// The key that distinguishes a guest with a token from others of its id.
        var guestKey: String?
        /// How many of the newest messages the first join loads.
        var windowCount = 50
        /// How many of the newest messages are retained.
        var keptCount = 1000
        /// The last message and revision that the application has.
        var resumePoint: (id: Int, rev: Int?)?
        /// Whether another token can be requested.
        var canRenewToken = false
    }

    enum ConnectionPhase: Equatable {
        case idle
        case connecting
        case open
        case waiting(until: MonotonicTime)
        /// Another token was requested, because the server rejected the last one.
        case awaitingToken
        /// The server refused the client for good.
        case refused
        case closed
    }

    let settings: Settings
    var dialect: any ClientDialect
    var connection = ConnectionPhase.idle
    /// The join that has not been answered on this connection; nil after the client has joined.
    var pendingJoin: JoinOptions?
    var joinSentAt: MonotonicTime?
    /// When to send the join again after a temporary failure.
    var joinRetryAt: MonotonicTime?
    /// Whether the server has accepted the client on any connection.
    var hasJoined = false
    /// Since when the client is online; nil while it is not.
    var onlineSince: MonotonicTime?
    var backoff = Backoff()
    var random: any RandomNumberGenerator & Sendable
    /// Whether another token was requested since the client was online last.
    var hasRequestedToken = false
    /// When to request another token; nil if the token has no end or cannot be renewed.
    var renewalAt: MonotonicTime?
    /// When bytes of the server arrived last.
    var receivedAt = MonotonicTime(nanoseconds: 0)

    var user: String? { didSet { self.timeline.user = self.user } }
    var timeline: Timeline
    var outbox: PendingMessages
    /// Requests whose answers are outstanding, in order.
    var requests: [PendingRequest] = []
    var isEnded = false
    /// The users who are typing, and until when that is assumed.
    var typingUsers: [String: (name: String, until: MonotonicTime)] = [:]
    /// When the client last reported that the user is typing; nil if others do not assume it.
    var typingSentAt: MonotonicTime?
    /// The message up to which the application has read, what was reported of it on this
    /// connection, and when the next report may be sent.
    var readID = 0
    var reportedReadID = 0
    var readReportAt = MonotonicTime(nanoseconds: .min)

    /// A working server answers a send within 5 s.
    private static let answerTimeout = Duration.seconds(20)
    /// The same while a long replay arrives.
    private static let replayTimeout = Duration.seconds(60)
    private static let renewalMargin = Duration.seconds(30)

    init(
        _ settings: Settings, outbox: [PendingMessage] = [], speaking dialect: any ClientDialect,
        using random: any RandomNumberGenerator & Sendable
    ) {
        self.settings = settings
        self.dialect = dialect
        self.user = settings.user
        self.random = random
        self.outbox = PendingMessages(outbox)
        self.timeline = Timeline(
            after: settings.resumePoint, windowCount: settings.windowCount,
            keptCount: settings.keptCount)
        self.timeline.user = settings.user
    }

    func supports(_ ability: ClientCapability) -> Bool {
        self.dialect.capabilities.contains(ability)
    }

    /// Whether the server accepts other commands than the join.
    var canSendCommands: Bool {
        self.connection == .open && (self.pendingJoin == nil || !self.dialect.mustJoinBeforeSending)
    }

    /// The loaded messages in order, without a gap, each in its present state; unsent ones last.
    var messages: [ChatMessage] {
        self.timeline.messages
            + self.outbox.items.filter { $0.to == nil }.map { item in
                var message = ChatMessage(
                    id: 0, author: self.user ?? "", text: item.text, time: item.since,
                    localID: item.localID)
                message.state = item.error == nil ? .sending : .failed
                message.replyTo = item.replyTo
                message.replyExcerpt = item.replyTo.flatMap { self.timeline.message($0)?.excerpt }
                message.mentioned = item.mentioned
                message.isOwn = true
                return message
            }
    }

    // MARK: Connection

    mutating func start(into steps: inout [ClientStep]) {
        guard self.connection == .idle else { return }
        self.connect(into: &steps)
    }

    private mutating func connect(
        _ change: StateChange = StateChange(state: .connecting), into steps: inout [ClientStep]
    ) {
        self.connection = .connecting
        steps.append(.emit(.state(change)))
        steps.append(.connect(after: self.timeline.lastID, rev: self.timeline.rev))
    }

    /// - Parameter tokenLifetime: the time until the token expires; nil if that is not known.
    mutating func opened(
        tokenLifetime: Duration? = nil, at now: MonotonicTime, into steps: inout [ClientStep]
    ) {
        self.connection = .open
        self.receivedAt = now
        self.typingSentAt = nil
        self.joinRetryAt = nil
        self.reportedReadID = 0
        self.planRenewal(tokenLifetime, at: now)
        self.timeline.connectionOpened(replays: self.dialect.replaysMissedMessages, at: now)
        self.dialect.connectionOpened()
        self.join(at: now, into: &steps)
        if !self.dialect.mustJoinBeforeSending { self.flush(at: now, into: &steps) }
    }

    /// Joins on a new connection, or again after the server's history was replaced.
    mutating func join(
        fromStart: Bool = false, at now: MonotonicTime, into steps: inout [ClientStep]
    ) {
        let join = JoinOptions(
            after: fromStart ? nil : self.timeline.lastID, limit: max(1, self.settings.windowCount))
        self.pendingJoin = join
        self.joinSentAt = now
        self.perform(self.dialect.join(join), at: now, into: &steps)
    }

    mutating func disconnected(
        _ error: ClientError, at now: MonotonicTime, into steps: inout [ClientStep]
    ) {
        guard self.connection != .closed, self.connection != .refused else { return }
        let online = self.onlineSince.map { now.since($0) } ?? .zero
        self.connectionLost(into: &steps)
        if error.code == 1009, self.failLongest(into: &steps) {
            return self.wait(after: .broken(reason: "a message was too long"), online, now, &steps)
        }
        if error.isRejectedToken, self.settings.canRenewToken, !self.hasRequestedToken {
            self.hasRequestedToken = true
            self.connection = .awaitingToken
            steps.append(.requestToken)
            return
        }
        guard error.isTransient else {
            return self.refuse(error.description, code: error.code, into: &steps)
        }
        self.wait(after: error, online, now, &steps)
    }

    private mutating func wait(
        after error: ClientError, _ online: Duration, _ now: MonotonicTime,
        _ steps: inout [ClientStep]
    ) {
        let delay = self.backoff.next(after: error, online: online, using: &self.random)
        self.connection = .waiting(until: now.advanced(by: delay))
        let change = StateChange(
            state: .waiting, reason: error.description, code: error.code, retryAfter: delay)
        steps.append(.emit(.state(change)))
    }

    /// The server refuses the client for good.
    mutating func refuse(_ reason: String, code: Int? = nil, into steps: inout [ClientStep]) {
        self.connection = .refused
        steps.append(.emit(.state(StateChange(state: .refused, reason: reason, code: code))))
        for request in self.requests { self.answer(request, .failed(.refused(reason)), &steps) }
        self.requests = []
    }

    private mutating func connectionLost(into steps: inout [ClientStep]) {
        self.onlineSince = nil
        self.renewalAt = nil
        self.pendingJoin = nil
        self.outbox.connectionLost()
        self.requests.removeAll(where: \.isInternal)
        for index in self.requests.indices { self.requests[index].sentAt = nil }
        for (user, state) in self.typingUsers.sorted(by: { $0.key < $1.key }) {
            steps.append(.emit(.typing(user: user, name: state.name, isTyping: false)))
        }
        self.typingUsers = [:]
    }

    /// Connects now instead of waiting, also after a refusal.
    mutating func retryNow(into steps: inout [ClientStep]) {
        switch self.connection {
        case .waiting, .refused: self.connect(into: &steps)
        default: break
        }
    }

    /// Leaves for good. Messages of the outbox stay in the store.
    mutating func close(into steps: inout [ClientStep]) {
        guard self.connection != .closed else { return }
        if self.connection == .open {
            for frame in self.dialect.closingFrames { steps.append(.send(frame)) }
        }
        self.connection = .closed
        steps.append(.close)
        steps.append(.emit(.state(StateChange(state: .closed))))
        for request in self.requests { self.answer(request, .failed(.closed), &steps) }
        self.requests = []
    }

    mutating func tick(at now: MonotonicTime, into steps: inout [ClientStep]) {
        if case .waiting(let until) = self.connection, now >= until { self.connect(into: &steps) }
        for (user, state) in self.typingUsers where state.until <= now {
            self.typingUsers[user] = nil
            steps.append(.emit(.typing(user: user, name: state.name, isTyping: false)))
        }
        guard self.connection == .open else { return }
        if let since = self.oldestUnanswered, now.since(since) >= Self.answerTimeout {
            let silence = now.since(max(since, self.receivedAt))
            if silence >= Self.answerTimeout || now.since(since) >= Self.replayTimeout {
                let seconds = Int(now.since(since).components.seconds)
                return steps.append(.drop(.unresponsive(seconds: seconds)))
            }
        }
        if let retryAt = self.joinRetryAt, now >= retryAt, let join = self.pendingJoin {
            self.joinRetryAt = nil
            self.joinSentAt = now
            self.perform(self.dialect.join(join), at: now, into: &steps)
        }
        if let renewalAt = self.renewalAt, now >= renewalAt {
            self.renewalAt = now.advanced(by: .seconds(5))
            steps.append(.requestToken)
        }
        self.deliver(self.timeline.tick(at: now), at: now, into: &steps)
        self.closeGap(at: now, into: &steps)
        self.flush(at: now, into: &steps)
        self.fetchQuoted(at: now, into: &steps)
    }

    /// When the oldest unanswered request was sent.
    private var oldestUnanswered: MonotonicTime? {
        let join = self.pendingJoin != nil && self.joinRetryAt == nil ? self.joinSentAt : nil
        return (self.requests.map(\.sentAt) + [self.outbox.sentAt, join]).compactMap(\.self).min()
    }

    // MARK: Token

    /// The application has supplied another token.
    mutating func renew(
        token: String, lifetime: Duration?, at now: MonotonicTime, into steps: inout [ClientStep]
    ) {
        let frames = self.dialect.renew(token: token)
        switch self.connection {
        case .open:
            for frame in frames { steps.append(.send(frame)) }
            self.planRenewal(lifetime, at: now)
        case .awaitingToken: self.connect(into: &steps)
        default: break
        }
    }

    /// No token can be had now. A later attempt to connect requests it again.
    mutating func renewalFailed(
        _ reason: String, at now: MonotonicTime, into steps: inout [ClientStep]
    ) {
        if self.connection == .awaitingToken {
            self.hasRequestedToken = false
            return self.wait(after: .broken(reason: "token: \(reason)"), .zero, now, &steps)
        }
        steps.append(.emit(.error(reason: "token: \(reason)", action: "authenticate")))
    }

    /// A token that lives for less than a minute is renewed after half of its life. One that the
    /// server accepts although it has expired here shows that this clock is wrong.
    private mutating func planRenewal(_ lifetime: Duration?, at now: MonotonicTime) {
        self.renewalAt = nil
        guard let lifetime, self.settings.canRenewToken else { return }
        let rest =
            lifetime > .zero
            ? max(.seconds(1), lifetime - min(Self.renewalMargin, lifetime / 2))
            : Self.renewalMargin
        self.renewalAt = now.advanced(by: rest)
    }

    // MARK: Dialect

    /// Sends the frames of a command.
    mutating func send(_ command: ClientCommand, into steps: inout [ClientStep]) {
        for frame in self.dialect.frames(for: command) { steps.append(.send(frame)) }
    }

    mutating func perform(
        _ dialectSteps: [DialectStep], at now: MonotonicTime, into steps: inout [ClientStep]
    ) {
        for step in dialectSteps {
            switch step {
            case .send(let frame): steps.append(.send(frame))
            case .event(let event): self.handle(event, at: now, into: &steps)
            }
        }
    }
}
