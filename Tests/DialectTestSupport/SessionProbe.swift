public import Bytes
public import ChatModel
public import DialectKit
import JSON

/// A session by itself: what it is told, and every step that it wants, as a line of text. Replies stand as they are sent.
public struct SessionProbe {
    public private(set) var session: any DialectSession
    private var document = JSONDocument(depthLimit: 8)
    private var steps: SessionSteps
    /// When frames come.
    public var now = Timestamp(milliseconds: 0)
    /// The tags of what was asked, oldest first.
    public private(set) var tags: [RequestTag] = []

    /// - Parameter dialect: which lets this one in.
    public init(
        _ dialect: some Dialect, _ request: DialectRequest, limits: ChatLimits = ChatLimits()
    ) {
        guard case .session(let session) = dialect.open(request) else {
            preconditionFailure("the upgrade was refused")
        }
        self.session = session
        self.steps = SessionSteps(limits: limits)
    }

    public mutating func opened() -> [String] {
        self.session.opened(into: &self.steps)
        return self.takeStepTexts()
    }

    /// - Parameter exceededBytes: how long a message may be, where this one is said to be longer.
    public mutating func send(
        _ text: String, retryAfter: Double? = nil, exceededByteLimit exceededBytes: Int? = nil
    ) -> [String] {
        self.send(Array(text.utf8), retryAfter: retryAfter, exceededByteLimit: exceededBytes)
    }

    public mutating func send(
        _ bytes: [UInt8], retryAfter: Double? = nil, exceededByteLimit exceededBytes: Int? = nil
    ) -> [String] {
        self.steps.retryAfter = retryAfter
        self.steps.exceededByteLimit = exceededBytes
        self.session.received(
            bytes.span.bytes, reading: &self.document, at: self.now, into: &self.steps)
        return self.takeStepTexts()
    }

    /// What the owner says to what was asked last, or before that.
    public mutating func answer(
        _ answer: ChatAnswer, to place: Int? = nil, isDelivered isShown: Bool = false
    ) -> [String] {
        self.session.answered(
            answer, to: self.tags[place ?? self.tags.count - 1], isDelivered: isShown,
            into: &self.steps)
        return self.takeStepTexts()
    }

    /// What the store says to what was asked of it last.
    public mutating func storeAnswer(_ answer: StoreAnswer?) -> [String] {
        self.session.receivedStoreAnswer(answer, for: self.tags.last!, into: &self.steps)
        return self.takeStepTexts()
    }

    public mutating func page(_ page: MessagePage?) -> [String] {
        self.session.receivedPage(page, for: self.tags.last!, into: &self.steps)
        return self.takeStepTexts()
    }

    /// Anything else that happens to a session.
    public mutating func perform(_ body: (inout any DialectSession, inout SessionSteps) -> Void)
        -> [String]
    {
        body(&self.session, &self.steps)
        return self.takeStepTexts()
    }

    public var tracksDeliveries: Bool {
        var session = self.session
        return session.tracksDeliveries
    }

    public var wakeAt: Int64? {
        var session = self.session
        return session.wakeAt
    }

    private mutating func takeStepTexts() -> [String] {
        defer { self.steps.removeAll() }
        return self.steps.list.map { step in
            switch step {
            case .reply(let range):
                return String(decoding: self.steps.text.bytes[range], as: UTF8.self)
            case .enter(let key, let entrance, let beginning, let tag):
                self.tags.append(tag)
                let actor = entrance.principal
                return
                    "enter \(key) as \(actor.person.id) \(actor.person.name) \(actor.person.agent.map { "for \($0) " } ?? "")"
                    + "\(actor.isAdmin ? "admin " : "")\(entrance.isListedInToken ? "listed" : "unlisted") \(entrance.kind) \(Self.text(beginning))\(entrance.marksHistoryRead ? ", skipping history" : "")"
            case .unsubscribe(let key): return "leave \(key)"
            case .submit(let command, let key, let tag):
                if let tag { self.tags.append(tag) }
                return "\(Self.text(command)) in \(key)"
            case .readPage(let key, let range, let limit, let tag):
                self.tags.append(tag)
                return "read \(range) limit \(limit) in \(key)"
            case .fetch(let request, let tag):
                self.tags.append(tag)
                return "fetch \(Self.text(request))"
            case .authenticate(let token): return "authenticate \(token)"
            case .broadcast(let word): return "announce \(word)"
            case .close(let code, let reason): return "close \(code) \(reason)"
            }
        }
    }

    private static func text(_ command: ChatCommand) -> String {
        switch command {
        case .post(let body):
            "post \(body.content.debugDescription) id \(body.clientMessageID?.text.string.debugDescription ?? "-") by \(body.author.id)"
                + (body.metadata.map { " with \(String(decoding: $0, as: UTF8.self))" } ?? "")
        case .edit(let sequence, let content, let actor):
            "edit \(sequence) \(content.debugDescription) by \(actor.person.id)\(actor.isAdmin ? " admin" : "")"
        case .delete(let sequence, let actor):
            "delete \(sequence) by \(actor.person.id)\(actor.isAdmin ? " admin" : "")"
        case .read(let sequences, let user): "read \(sequences) by \(user)"
        case .readThrough(let sequence, let user): "read through \(sequence) by \(user)"
        case .create(let founding):
            "create \(founding.kind) \(founding.title.debugDescription) \(founding.dialectData) by \(founding.creator.person.id) with "
                + founding.members.map { "\($0.id)" }.joined(separator: ", ")
        case .typing(let isTyping, let person): "typing \(isTyping) by \(person.id)"
        case .join(let entrance): "join \(entrance.kind) by \(entrance.principal.person.id)"
        case .leave(let user): "part \(user)"
        case .end(let actor): "end by \(actor.person.id)"
        case .describe(let actor, let guests): "describe for \(actor.person.id) guests \(guests)"
        case .joinAndSubscribe: "enter, as a command"
        }
    }

    private static func text(_ beginning: StartPosition) -> String {
        switch beginning {
        case .now: "from now"
        case .after(let sequence, let revision):
            "after \(sequence)\(revision.map { " since \($0)" } ?? "")"
        case .unread: "from what is unread"
        }
    }

    private static func text(_ request: StoreRequest) -> String {
        switch request {
        case .memberships(let user, let tenant, let after, _, let unread):
            "conversations of \(user) in \(tenant) after \(after.map(\.string) ?? "-") unread \(unread)"
        case .numbers(let users, let tenant):
            "numbers of \(users.map { "\($0)" }.joined(separator: ", ")) in \(tenant)"
        default: "\(request)"
        }
    }
}

extension JoinResult {
    /// Of a conversation in which nobody is and nothing was said.
    public static var empty: JoinResult {
        JoinResult(
            head: 0, oldest: 1, revision: 1, ended: nil, present: [], presentCount: 0,
            isCrowd: false)
    }
}
