import EventLoop

/// A chat in one conversation: what was typed, heard and lost goes in, what to do about it comes out.
///
/// A line that was typed is kept until the server has said that it is stored, and is sent again, under the same `local_id`, on every new
/// connection until then; the server makes one message of however many came. One line is on its way at a time, because a server that takes
/// some of several and refuses others for their rate would change their order.
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

    /// A request whose answer is awaited.
    enum Question: Equatable {
        /// What is shown when one enters; also says that the entrance is through.
        case entrance(limit: Int)
        case history(Int)
        case edit(Int, String)
        case delete(Int)
    }

    let settings: Settings
    var connection = Connection.idle
    var hasEntered = false
    /// When the entrance's question is asked again that the server could not answer.
    var entranceRetryAt: MonotonicTime?
    /// When the connection was lost that is not back yet.
    var lostAt: MonotonicTime?
    var backoff = Backoff()
    var chance: any RandomNumberGenerator & Sendable

    var user: String?
    /// The highest id that was shown, or 0; nil before the history is known, without which there is nothing to resume from.
    var lastID: Int?
    /// Live messages that came before the history did.
    var held: [ChatMessage] = []
    var presence = PresenceList()
    /// Who was here before the connection was lost.
    var isPresenceSettled = false
    /// Who types, and until when that is believed.
    var typists: [String: (name: String, until: MonotonicTime)] = [:]

    var outbox = LineOutbox()
    var questions: [Question] = []
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
    static let heldLimit = 1000
    private static let questionLimit = 100
    /// A program waits no longer for a connection to come back.
    static let programPatience = Duration.seconds(60)
    /// Somebody who quits waits no longer for what is unanswered.
    static let quitPatience = Duration.seconds(5)
    /// The server answers a send within 5 s, if it is there.
    private static let answerPatience = Duration.seconds(20)

    init(_ settings: Settings, using chance: any RandomNumberGenerator & Sendable) {
        self.settings = settings
        self.user = settings.user
        self.chance = chance
    }

    /// Whether more lines are taken; who types has to wait until then.
    var takesInput: Bool { !self.outbox.isFull && self.questions.count < Self.questionLimit && self.quitsAt == nil }

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
        // What was asked and not answered is asked again, the entrance first of all.
        self.questions.removeAll {
            if case .entrance = $0 { true } else { false }
        }
        let isFirst = self.lastID == nil
        self.questions.insert(.entrance(limit: isFirst && self.settings.isInteractive ? Self.historyLimit : 1), at: 0)
        for question in self.questions { steps.append(.send(question.action)) }
        self.outbox.connectionOpened()
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
            steps.append(.connect(after: self.lastID))
        }
        if self.connection == .open {
            if let age = self.outbox.ageOfUnanswered(at: now), age >= Self.answerPatience {
                steps.append(.drop(.silent(seconds: Int(age.components.seconds))))
            } else {
                self.sendNext(at: now, into: &steps)
            }
            if let retryAt = self.entranceRetryAt, now >= retryAt, let question = self.questions.first {
                self.entranceRetryAt = nil
                steps.append(.send(question.action))
            }
        }
        self.typists = self.typists.filter { $0.value.until > now }
        if let quitsAt = self.quitsAt, now >= quitsAt { self.exit(into: &steps) }
    }

    /// After everything that happened at once: what is said once for all of it.
    mutating func settle(into steps: inout [ChatStep]) {
        if self.connection == .open, self.settings.isInteractive, let id = self.unreadID, id > self.reportedReadID {
            self.reportedReadID = id
            steps.append(.send(ClientAction.read(id)))
        }
        self.unreadID = nil
        if self.inputHasEnded, self.outbox.isEmpty, self.isAnswered { self.exit(into: &steps) }
    }

    /// Whether one may leave without missing an answer. A program wants to know that it could enter, even when it says nothing.
    private var isAnswered: Bool {
        let isOnlyEntering = self.questions.allSatisfy {
            if case .entrance = $0 { true } else { false }
        }
        return self.settings.isInteractive ? isOnlyEntering : self.hasEntered && self.questions.isEmpty
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

    // MARK: The end

    /// Nothing more will come of it.
    private mutating func giveUp(into steps: inout [ChatStep]) {
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
        if self.connection == .open { steps.append(.close) }
        self.connection = .over
        steps.append(.exit(hasFailed ? 1 : 0))
    }
}

extension ChatSession.Question {
    var action: String {
        switch self {
        case .entrance(let limit), .history(let limit): ClientAction.fetch(limit: limit)
        case .edit(let id, let content): ClientAction.edit(id, content)
        case .delete(let id): ClientAction.delete(id)
        }
    }
}
