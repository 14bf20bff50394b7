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

    enum Connection: Equatable {
        case idle
        case connecting
        case open
        case waiting(until: MonotonicTime)
        case over
    }

    let settings: Settings
    var dialect: any ClientDialect
    var connection = Connection.idle
    var hasEntered = false
    /// What one waits for on this connection in order to be in.
    var entrance: Entrance?
    /// When that is asked for again because the server could not answer it.
    var entranceRetryAt: MonotonicTime?
    /// When the connection was lost that is not back yet.
    var lostAt: MonotonicTime?
    var backoff = Backoff()
    var chance: any RandomNumberGenerator & Sendable

    var user: String?
    var order = MessageOrder()
    /// When an answer came that waits for messages in front of it.
    var earlySince: MonotonicTime?
    var presence = PresenceList()
    /// Who was here before the connection was lost.
    var isPresenceSettled = false
    /// Who types, and until when that is believed.
    var typists: [String: (name: String, until: MonotonicTime)] = [:]

    var outbox = LineOutbox()
    /// Wishes whose answers are awaited.
    var questions: [ClientWish] = []
    /// The newest message of one's own that the server has.
    var newestOwn: (id: Int, progress: MessageProgress)?
    /// Others' newest message that was shown and not reported as read.
    var unreadID: Int?
    var reportedReadID = 0
    /// When others were last told that one types; nil when they believe that one does not.
    var toldTypingAt: MonotonicTime?
    var failedCount = 0
    var inputHasEnded = false
    var quitsAt: MonotonicTime?

    static let historyLimit = 20
    private static let questionLimit = 100
    /// A program waits no longer for a connection to come back.
    static let programPatience = Duration.seconds(60)
    /// Somebody who quits waits no longer for what is unanswered.
    static let quitPatience = Duration.seconds(5)
    /// The server answers a send within 5 s, if it is there.
    private static let answerPatience = Duration.seconds(20)
    /// What stands in front of an answer is behind it on the same connection, if it comes at all.
    private static let orderPatience = Duration.seconds(5)

    init(_ settings: Settings, speaking dialect: any ClientDialect, using chance: any RandomNumberGenerator & Sendable) {
        self.settings = settings
        self.dialect = dialect
        self.user = settings.user
        self.chance = chance
    }

    /// Whether more lines are taken; who types has to wait until then.
    var takesInput: Bool { !self.outbox.isFull && self.questions.count < Self.questionLimit && self.quitsAt == nil }

    func can(_ ability: ClientAbility) -> Bool { self.dialect.abilities.contains(ability) }

    /// Whether the server takes more than the wish to come in.
    var mayTalk: Bool { self.connection == .open && (self.entrance == nil || !self.dialect.waitsAtTheDoor) }

    // MARK: The connection

    mutating func start(into steps: inout [ChatStep]) {
        self.connection = .connecting
        steps.append(.connect(after: nil))
    }

    mutating func opened(at now: MonotonicTime, into steps: inout [ChatStep]) {
        self.connection = .open
        self.isPresenceSettled = false
        self.presence = PresenceList()
        self.typists = [:]
        self.toldTypingAt = nil
        self.entranceRetryAt = nil
        self.earlySince = nil
        self.order.begin(replays: self.dialect.replays)
        self.outbox.connectionOpened()
        self.dialect.connected()
        let entrance = Entrance(after: self.order.lastID, limit: self.settings.isInteractive ? Self.historyLimit : 1)
        self.entrance = entrance
        self.carryOut(self.dialect.enter(entrance), at: now, into: &steps)
        if !self.dialect.waitsAtTheDoor { self.beginToTalk(at: now, into: &steps) }
    }

    /// What was asked and not answered is asked again, and the line whose turn it is leaves.
    mutating func beginToTalk(at now: MonotonicTime, into steps: inout [ChatStep]) {
        for question in self.questions { self.express(question, into: &steps) }
        self.sendNext(at: now, into: &steps)
    }

    mutating func disconnected(_ error: ClientError, at now: MonotonicTime, into steps: inout [ChatStep]) {
        guard self.connection != .over else { return }
        let wasOpen = self.connection == .open
        if self.quitsAt != nil { return self.exit(into: &steps) }
        guard self.hasEntered || self.lostAt != nil, error.isTransient else {
            steps.append(.show(.trouble(error.description)))
            return self.giveUp(into: &steps)
        }
        let lostAt = self.lostAt ?? now
        self.lostAt = lostAt
        guard self.settings.isInteractive || now.since(lostAt) < Self.programPatience else {
            steps.append(.show(.trouble(error.description)))
            return self.giveUp(into: &steps)
        }
        if wasOpen { steps.append(.show(.trouble("\(error.description) Connecting again."))) }
        self.connection = .waiting(until: now.advanced(by: self.backoff.next(using: &self.chance)))
    }

    mutating func tick(at now: MonotonicTime, into steps: inout [ChatStep]) {
        if case .waiting(let until) = self.connection, now >= until {
            self.connection = .connecting
            steps.append(.connect(after: self.order.lastID))
        }
        if self.connection == .open {
            if let age = self.outbox.ageOfUnanswered(at: now), age >= Self.answerPatience {
                steps.append(.drop(.silent(seconds: Int(age.components.seconds))))
            } else {
                self.sendNext(at: now, into: &steps)
            }
            if let retryAt = self.entranceRetryAt, now >= retryAt, let entrance = self.entrance {
                self.entranceRetryAt = nil
                self.carryOut(self.dialect.enter(entrance), at: now, into: &steps)
            }
            if let since = self.earlySince, now.since(since) >= Self.orderPatience {
                self.earlySince = nil
                for message in self.order.giveUpWaiting() { self.show(message, into: &steps) }
            }
        }
        self.typists = self.typists.filter { $0.value.until > now }
        if let quitsAt = self.quitsAt, now >= quitsAt { self.exit(into: &steps) }
    }

    /// After everything that happened at once: what is said once for all of it.
    mutating func settle(into steps: inout [ChatStep]) {
        if self.connection == .open, self.settings.isInteractive, let id = self.unreadID, id > self.reportedReadID {
            self.reportedReadID = id
            if self.can(.receipts) { self.express(.read(id), into: &steps) }
        }
        self.unreadID = nil
        if self.inputHasEnded, self.outbox.isEmpty, self.isAnswered { self.exit(into: &steps) }
    }

    /// Whether one may leave without missing an answer. A program wants to know that it could enter, even when it says nothing.
    private var isAnswered: Bool {
        self.questions.isEmpty && (self.settings.isInteractive || self.hasEntered && self.entrance == nil)
    }

    /// For the lines at the screen's end.
    var situation: ChatSituation {
        var situation = ChatSituation(typing: self.typists.values.map(\.name).sorted())
        switch self.connection {
        case .open: situation.connection = self.hasEntered ? nil : "entering"
        case .idle, .connecting, .waiting: situation.connection = self.lostAt == nil ? "connecting" : "connection lost; connecting again"
        case .over: break
        }
        situation.progress = self.outbox.isEmpty ? self.newestOwn?.progress : .sending
        return situation
    }

    // MARK: The dialect

    /// Sends what there is to say for a wish.
    mutating func express(_ wish: ClientWish, into steps: inout [ChatStep]) {
        for frame in self.dialect.frames(for: wish) { steps.append(.send(frame)) }
    }

    mutating func carryOut(_ dialectSteps: [DialectStep], at now: MonotonicTime, into steps: inout [ChatStep]) {
        for step in dialectSteps {
            switch step {
            case .send(let frame): steps.append(.send(frame))
            case .event(let event): self.take(event, at: now, into: &steps)
            }
        }
    }

    // MARK: The end

    /// Nothing more will come of it.
    mutating func giveUp(into steps: inout [ChatStep]) {
        self.exit(hasFailed: true, into: &steps)
    }

    mutating func exit(hasFailed: Bool = false, into steps: inout [ChatStep]) {
        guard self.connection != .over else { return }
        // A person has seen what was refused, and gone on.
        let hasFailed = hasFailed || !self.outbox.isEmpty || !self.settings.isInteractive && self.failedCount > 0
        if !self.outbox.isEmpty {
            let count = self.outbox.count
            let newest = SafeText.line(self.outbox.first?.text ?? "", limit: 60)
            steps.append(
                .show(.trouble(count == 1 ? "A line was not sent: \(newest)" : "\(count) lines were not sent; the first is: \(newest)")))
        }
        if self.connection == .open {
            for frame in self.dialect.goodbye { steps.append(.send(frame)) }
            steps.append(.close)
        }
        self.connection = .over
        steps.append(.exit(hasFailed ? 1 : 0))
    }
}
