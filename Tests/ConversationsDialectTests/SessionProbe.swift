import Bytes
import ChatModel
import ConversationsDialect
import DialectKit
import Identity
import JSON

/// A session by itself: what it is told, and every step that it wants, as a line of text. Replies stand as they are sent.
struct SessionProbe {
    private(set) var session: any DialectSession
    private var document = JSONDocument(depthLimit: 8)
    private var steps: SessionSteps
    /// The tags of what was asked, oldest first.
    private(set) var tags: [SessionTag] = []

    init(
        user: String = "ann", name: String? = "Ann", agent: String? = nil, conversation: String = "room-1", after: String? = nil,
        grants: Grants = .all,
        isAdmin: Bool = false, limits: ChatLimits = ChatLimits()
    ) {
        let identity = Identity(
            user: .init(user), displayName: name.map { .init($0) }, tenant: "tenant", agent: agent.map { .init($0) }, grants: grants,
            isAdmin: isAdmin)
        let query = after.map { [(name: "after", value: $0)] } ?? []
        let request = DialectRequest(
            path: ["conversations", conversation], query: query, credentials: .bearer(identity), now: Timestamp(milliseconds: 0))
        guard case .session(let session) = ConversationsDialect().open(request) else { preconditionFailure("the upgrade was refused") }
        self.session = session
        self.steps = SessionSteps(limits: limits)
    }

    mutating func opened() -> [String] {
        self.session.opened(into: &self.steps)
        return self.take()
    }

    mutating func send(_ text: String, retryAfter: Double? = nil) -> [String] { self.send(Array(text.utf8), retryAfter: retryAfter) }

    mutating func send(_ bytes: [UInt8], retryAfter: Double? = nil) -> [String] {
        self.steps.retryAfter = retryAfter
        self.session.received(bytes.span.bytes, reading: &self.document, at: Timestamp(milliseconds: 0), into: &self.steps)
        return self.take()
    }

    /// What the owner says to what was asked last.
    mutating func answer(_ answer: ChatAnswer, isShown: Bool = false) -> [String] {
        self.session.answered(answer, to: self.tags.last!, isShown: isShown, into: &self.steps)
        return self.take()
    }

    mutating func page(_ page: Page?) -> [String] {
        self.session.paged(page, for: self.tags.last!, into: &self.steps)
        return self.take()
    }

    /// Anything else that happens to a session.
    mutating func tell(_ body: (inout any DialectSession, inout SessionSteps) -> Void) -> [String] {
        body(&self.session, &self.steps)
        return self.take()
    }

    private mutating func take() -> [String] {
        defer { self.steps.removeAll() }
        return self.steps.list.map { step in
            switch step {
            case .reply(let range): return String(decoding: self.steps.text.bytes[range], as: UTF8.self)
            case .enter(let key, let entrance, let after, let tag):
                self.tags.append(tag)
                let actor = entrance.actor
                return "enter \(key) as \(actor.person.id) \(actor.person.name) \(actor.person.agent.map { "for \($0) " } ?? "")"
                    + "\(actor.isAdmin ? "admin " : "")\(entrance.isListed ? "listed" : "unlisted") \(entrance.access) after \(after.map(String.init) ?? "-")"
            case .ask(let command, let key, let tag):
                if let tag { self.tags.append(tag) }
                return "\(Self.text(command)) in \(key)"
            case .read(let key, let range, let limit, let tag):
                self.tags.append(tag)
                return "fetch \(range) limit \(limit) in \(key)"
            case .authenticate(let token): return "authenticate \(token)"
            case .close(let code, let reason): return "close \(code) \(reason)"
            }
        }
    }

    private static func text(_ command: ChatCommand) -> String {
        switch command {
        case .post(let body):
            "post \(body.content.debugDescription) id \(body.clientID?.text.string.debugDescription ?? "-") by \(body.author.id)"
        case .edit(let sequence, let content, let actor):
            "edit \(sequence) \(content.debugDescription) by \(actor.person.id)\(actor.isAdmin ? " admin" : "")"
        case .delete(let sequence, let actor): "delete \(sequence) by \(actor.person.id)\(actor.isAdmin ? " admin" : "")"
        case .read(let sequences, let user): "read \(sequences) by \(user)"
        case .typing(let isTyping, let person): "typing \(isTyping) by \(person.id)"
        case .enter, .join, .part, .end, .describe: "something that this protocol has no words for"
        }
    }
}
