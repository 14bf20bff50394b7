import Bytes
public import ChatModel
public import DialectKit
import Identity

/// The Conversations protocol (seed `003`): one WebSocket for one conversation,
/// `/conversations/{id}/?token=`.
public struct ConversationsDialect: Dialect {
    public let name: StaticString = "conversations"
    public let heartbeat: StaticString? = #"{"type":"heartbeat"}"#
    public let upgradePaths: [PathPattern] = ["/conversations/{id}"]

    public init() {}

    /// Accepts an unauthorized connection first and closes it then, because browsers show only
    /// close codes.
    public func open(_ request: DialectRequest) -> OpenResult? {
        guard request.path.count == 2, request.path[0] == "conversations" else { return nil }
        let id = ByteString(request.path[1])
        switch request.credentials {
        case .none:
            return .session(RefusedSession(code: 4003, reason: "a token is required"))
        case .invalid(let sentence):
            var error = ByteBuffer()
            error.append(error: sentence, action: "connect")
            return .session(
                RefusedSession(code: 4003, reason: "the token is not valid", error: error))
        case .bearer(let identity):
            guard IdentityRule.conversation.allows(id.string) else {
                return .session(RefusedSession(code: 4004, reason: "access denied"))
            }
            return .session(
                ConversationsSession(
                    identity: identity, conversation: id,
                    from: ResumePoint(
                        after: request.queryValue("after"), rev: request.queryValue("rev"))))
        }
    }

    public func render(
        _ event: ChatEvent, in conversation: ConversationKey, into rendering: inout Rendering
    ) {
        switch event {
        case .posted(let message):
            rendering.text.append(chatMessage: message)
            rendering.finishFrame()
        case .edited(let message), .deleted(let message):
            rendering.text.append(amendedMessage: message)
            rendering.finishFrame()
        case .reacted(let message):
            rendering.text.append(reactionsTo: message)
            rendering.finishFrame()
        case .pinned(let message), .unpinned(let message):
            rendering.text.append(pinOf: message)
            rendering.finishFrame()
        case .typing(let person, let isTyping):
            rendering.text.append(typing: isTyping, by: person)
            rendering.finishFrame(for: .others(person.id))
        case .read(let person, let sequences, _):
            // The cursor has not moved.
            guard !sequences.isEmpty else { return }
            rendering.text.append(read: sequences, by: person)
            rendering.finishFrame()
        case .status(let author, let status, let sequences, let time):
            for sequence in sequences {
                rendering.text.append(status: status, of: sequence, at: time)
                rendering.finishFrame(for: .only(author))
            }
        case .presence(let changes):
            for change in changes {
                rendering.text.append(userStatus: change)
                rendering.finishFrame(for: .others(change.person.id))
            }
        case .crowd(let online, let changes):
            rendering.text.append(presenceSummary: online, changes, in: conversation)
            rendering.finishFrame()
        case .ended(let user, let time):
            rendering.text.append(endOf: conversation, by: user, at: time)
            rendering.finishFrame()
        case .updated(let record, let person, let revision):
            rendering.text.append(updated: record, of: conversation, by: person, revision)
            rendering.finishFrame()
        case .created, .joined, .renamed, .left:
            break  // The protocol has no frames for these.
        }
    }
}

extension ConversationTemplate {
    /// Only users that a token or a member admits may join.
    public static let conversations = ConversationTemplate(origin: "conversations")
}
