import Bytes
public import ChatModel
public import DialectKit
import Identity

/// The Chats protocol (seed `001`): one WebSocket for all chats of a user, `/ws/chats/`, with
/// `{"type","data"}` in both directions. The ids of users and chats are whole numbers.
public struct ChatsDialect: Dialect {
    public let name: StaticString = "chats"
    public let upgradePaths: [PathPattern] = ["/ws/chats"]
    public let usesUserNumbers = true
    /// The template of chats that clients create.
    private let newChats: ConversationTemplate

    /// - Parameter defaultAccess: whether the chats that clients create are open. A closed one has
    ///   its creator as member; otherwise no user could enter it.
    public init(defaultAccess: ConversationRecord.JoinPolicy = .open) {
        self.newChats = defaultAccess == .open ? .chats : .chats.closed
    }

    /// Accepts an unauthorized connection first and closes it then, because browsers show only
    /// close codes.
    public func open(_ request: DialectRequest) -> OpenResult? {
        guard request.path == ["ws", "chats"] else { return nil }
        switch request.credentials {
        case .none:
            guard request.allowsAnonymous else {
                return .session(Self.refusal("a token is required"))
            }
            guard let name = request.queryValue("username") else {
                return .session(
                    ChatsSession(anonymousName: Self.randomGuestName(), newChats: self.newChats))
            }
            guard IdentityRule.name.allows(name) else {
                return .session(Self.refusal("username: must be \(IdentityRule.name.text)"))
            }
            return .session(
                ChatsSession(anonymousName: ByteString(name), newChats: self.newChats))
        case .invalid(let sentence):
            return .session(Self.refusal(sentence))
        case .bearer(let identity):
            return .session(ChatsSession(identity: identity, newChats: self.newChats))
        }
    }

    /// A random name of 40 bits, so that two guests never share one.
    private static func randomGuestName() -> ByteString {
        ByteString("guest-\(Hex.encode((0..<5).map { _ in UInt8.random(in: 0...255) }))")
    }

    private static func refusal(_ sentence: String) -> RefusedSession {
        var error = ByteBuffer()
        error.append(error: sentence, request: nil)
        return RefusedSession(code: 4401, reason: "authentication required", error: error)
    }

    public func render(
        _ event: ChatEvent, in conversation: ConversationKey, into rendering: inout Rendering
    ) {
        guard !conversation.isInbox else { return }
        switch event {
        case .posted(let message):
            let author = message.body.author.id
            let sender = rendering.number(of: author, in: conversation.tenant)
            guard let localID = message.body.clientMessageID?.displayID else {
                rendering.text.append(created: message, by: sender, in: conversation.id)
                return rendering.finishFrame()
            }
            // The session does not answer the send itself: an answer beside the event would not
            // keep its order among the messages of others.
            rendering.text.append(created: message, by: sender, in: conversation.id)
            rendering.finishFrame(for: .others(author))
            rendering.text.append(
                created: message, by: sender, in: conversation.id, localID: localID)
            rendering.finishFrame(for: .only(author))
        case .joined(let member):
            let user = ChatsUser(
                member.user, number: rendering.number(of: member.user, in: conversation.tenant),
                name: member.name)
            rendering.text.append(joined: user, conversation.id, lastRead: nil)
            // The session answers the user who joined.
            rendering.finishFrame(for: .others(member.user))
        case .read(let person, _, let cursor):
            let user = ChatsUser(
                person.id, number: rendering.number(of: person.id, in: conversation.tenant),
                name: person.name)
            rendering.text.append(read: cursor, by: user, in: conversation.id)
            rendering.finishFrame()
        case .created, .edited, .deleted, .reacted, .pinned, .unpinned, .renamed, .left, .ended,
            .updated, .typing, .status, .presence, .crowd:
            break  // The protocol has no frames for these.
        }
    }
}

extension ConversationTemplate {
    /// Chats are shared by a link, so any user may join.
    public static let chats = ConversationTemplate(origin: "chats", joinPolicy: .open)
}
