public import Bytes
public import ChatModel
public import DialectKit
import JSON

/// A session without a gateway: returns each of its steps as a line of text. Replies are returned
/// as they are sent.
public struct SessionProbe {
    public private(set) var session: any DialectSession
    private var document = JSONDocument(depthLimit: 8)
    private var steps: SessionSteps
    /// The arrival time of frames.
    public var now = Timestamp(milliseconds: 0)
    /// The tags of the requests, oldest first.
    public private(set) var tags: [RequestTag] = []

    /// - Parameter dialect: the dialect that opens the session.
    public init(
        _ dialect: some Dialect, _ request: DialectRequest, limits: Limits = Limits()
    ) {
        guard case .session(let session) = dialect.open(request) else {
            preconditionFailure("The upgrade was refused.")
        }
        self.session = session
        self.steps = SessionSteps(limits: limits)
    }

    public init(_ session: any DialectSession) {
        self.session = session
        self.steps = SessionSteps(limits: Limits())
    }

    public mutating func opened() -> [String] {
        self.session.opened(into: &self.steps)
        return self.takeStepTexts()
    }

    /// - Parameter exceededByteLimit: the size limit that the frame exceeds, if any.
    public mutating func send(
        _ text: String, retryAfter: Double? = nil, exceededByteLimit: Int? = nil
    ) -> [String] {
        self.send(Array(text.utf8), retryAfter: retryAfter, exceededByteLimit: exceededByteLimit)
    }

    public mutating func send(
        _ bytes: [UInt8], retryAfter: Double? = nil, exceededByteLimit: Int? = nil
    ) -> [String] {
        self.steps.retryAfter = retryAfter
        self.steps.exceededByteLimit = exceededByteLimit
        self.session.received(
            bytes.span.bytes, reading: &self.document, at: self.now, into: &self.steps)
        return self.takeStepTexts()
    }

    /// Answers the last request, or an earlier one.
    public mutating func answer(
        _ answer: ChatAnswer, to index: Int? = nil, isDelivered: Bool = false
    ) -> [String] {
        self.session.answered(
            answer, to: self.tags[index ?? self.tags.count - 1], isDelivered: isDelivered,
            into: &self.steps)
        return self.takeStepTexts()
    }

    /// Answers the last fetch.
    public mutating func storeAnswer(_ answer: StoreAnswer?) -> [String] {
        self.session.receivedStoreAnswer(answer, for: self.tags.last!, into: &self.steps)
        return self.takeStepTexts()
    }

    public mutating func page(_ page: MessagePage?) -> [String] {
        self.session.receivedPage(page, for: self.tags.last!, into: &self.steps)
        return self.takeStepTexts()
    }

    /// Calls the session with any other event.
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
        return self.steps.list.map { self.text($0) }
    }

    private mutating func text(_ step: SessionStep) -> String {
        switch step {
        case .reply(let range):
            return String(decoding: self.steps.text.bytes[range], as: UTF8.self)
        case .enter(let key, let request, let start, let tag):
            self.tags.append(tag)
            let person = request.principal.person
            let agent = person.agent.map { "for \($0) " } ?? ""
            let rights =
                (request.principal.isAdmin ? "admin " : "")
                + (request.isListedInToken ? "listed" : "unlisted")
            let history = request.marksHistoryRead ? ", history read" : ""
            return "enter \(key) as \(person.id) \(person.name) \(agent)\(rights) "
                + "\(request.template.origin) \(Self.text(start))\(history)"
        case .unsubscribe(let key): return "unsubscribe \(key)"
        case .submit(let command, let key, let tag):
            if let tag { self.tags.append(tag) }
            return "\(Self.text(command)) in \(key)"
        case .readPage(let key, let range, let limit, let tag):
            self.tags.append(tag)
            return "read \(range) limit \(limit) in \(key)"
        case .readThread(let key, let root, let range, let limit, let tag):
            self.tags.append(tag)
            return "read thread \(root) \(range) limit \(limit) in \(key)"
        case .fetch(let request, let tag):
            self.tags.append(tag)
            return "fetch \(Self.text(request))"
        case .readFurther(let step, let bytes):
            return "\(self.text(step)), after \(bytes) bytes"
        case .authenticate(let token): return "authenticate \(token)"
        case .broadcast(let text): return "broadcast \(text)"
        case .close(let code, let reason): return "close \(code) \(reason)"
        }
    }

    private static func text(_ command: ChatCommand) -> String {
        switch command {
        case .post(let body):
            "post \(body.content.debugDescription) id "
                + """
                \(body.clientMessageID?.text.string.debugDescription ?? "-") by \
                \(body.author.id)
                """
                + (body.metadata.map { " with \(String(decoding: $0, as: UTF8.self))" } ?? "")
                + Self.text(body.annotations)
        case .edit(let sequence, let content, let principal):
            "edit \(sequence) \(content.debugDescription) \(Self.text(principal))"
        case .delete(let sequence, let principal):
            "delete \(sequence) \(Self.text(principal))"
        case .react(let sequence, let emoji, let isOn, let principal):
            "react \(sequence) \(emoji) \(isOn ? "on" : "off") \(Self.text(principal))"
        case .pin(let sequence, let principal): "pin \(sequence) \(Self.text(principal))"
        case .unpin(let sequence, let principal): "unpin \(sequence) \(Self.text(principal))"
        case .pins(let principal, let access):
            "pins for \(principal.person.id) access \(access)"
        case .read(let sequences, let user): "read \(sequences) by \(user)"
        case .readThrough(let sequence, let user): "read through \(sequence) by \(user)"
        case .create(let conversation):
            "create \(conversation.record.origin) \(conversation.record.title.debugDescription) "
                + "\(conversation.record.dialectData) by \(conversation.creator.person.id) with "
                + conversation.members.map { "\($0.id)" }.joined(separator: ", ")
        case .typing(let isTyping, let person): "typing \(isTyping) by \(person.id)"
        case .join(let request): "join \(request.template.origin) by \(request.principal.person.id)"
        case .leave(let user): "leave \(user)"
        case .update(let update, let principal):
            "update \(update.title ?? "-") \(Self.text(principal))"
        case .receipts(let user): "receipts for \(user)"
        case .addMember(let person, let principal): "add \(person.id) \(Self.text(principal))"
        case .removeMember(let user, let principal): "remove \(user) \(Self.text(principal))"
        case .end(let principal): "end by \(principal.person.id)"
        case .describe(let principal, let access, _):
            "describe for \(principal.person.id) access \(access)"
        case .joinAndSubscribe: "enter, as a command"
        }
    }

    private static func text(_ annotations: MessageAnnotations?) -> String {
        guard let annotations else { return "" }
        let reply = annotations.reply.map { " reply to \($0.to)" } ?? ""
        guard let mentions = annotations.mentions else { return reply }
        return reply + " mentioning "
            + (mentions.includesEveryone
                ? "all" : mentions.users.map(\.description).joined(separator: ","))
    }

    private static func text(_ principal: Principal) -> String {
        "by \(principal.person.id)\(principal.isAdmin ? " admin" : "")"
    }

    private static func text(_ start: StartPosition) -> String {
        switch start {
        case .now: "from now"
        case .after(let sequence, let revision):
            "after \(sequence)\(revision.map { " since \($0)" } ?? "")"
        case .unread: "from the first unread"
        }
    }

    private static func text(_ request: StoreRequest) -> String {
        switch request {
        case .memberships(let user, let tenant, let after, _, let unread):
            """
            conversations of \(user) in \(tenant) after \(after.map(\.string) ?? "-") unread \
            \(unread)
            """
        case .search(let key, let query, let before, let limit, _):
            "search \(query.words) before \(before.map(String.init) ?? "-") limit \(limit) "
                + "in \(key)"
        case .numbers(let users, let tenant):
            "numbers of \(users.map { "\($0)" }.joined(separator: ", ")) in \(tenant)"
        default: "\(request)"
        }
    }
}

extension JoinResult {
    /// The join result of a conversation without members and messages.
    public static var empty: JoinResult {
        JoinResult(
            head: 0, oldest: 1, revision: 1, ended: nil, present: [], presentCount: 0,
            isCrowd: false)
    }
}
