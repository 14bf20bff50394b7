import Bytes
public import ChatModel
public import DialectKit
import Identity

/// The Pets protocol (seed `000`): one WebSocket for all conversations of a user, `/ws/`, with
/// `{"event","data"}` in both directions.
public struct PetsDialect: Dialect {
    public let name: StaticString = "pets"
    public let upgradePaths: [PathPattern] = ["/ws"]

    public init() {}

    /// Accepts an unauthorized connection first and closes it then, because browsers show only
    /// close codes.
    public func open(_ request: DialectRequest) -> OpenResult? {
        guard request.path == ["ws"] else { return nil }
        switch request.credentials {
        case .none:
            guard request.allowsAnonymous else {
                return .session(Self.refusal("a token is required"))
            }
            return .session(
                PetsSession(
                    anonymousID: UUIDText.random(), anonymousMayBroadcast: request.isLoopback))
        case .invalid(let sentence):
            return .session(Self.refusal(sentence))
        case .bearer(let identity):
            return .session(
                PetsSession(
                    identity: identity,
                    anonymousMayBroadcast: request.allowsAnonymous && request.isLoopback))
        }
    }

    private static func refusal(_ sentence: String) -> RefusedSession {
        var error = ByteBuffer()
        error.append(error: sentence, event: nil)
        return RefusedSession(code: 4401, reason: "authentication required", error: error)
    }

    public func render(
        _ event: ChatEvent, in conversation: ConversationKey, into rendering: inout Rendering
    ) {
        switch event {
        case .posted(let message) where conversation.isInbox:
            rendering.text.append(broadcast: message)
            rendering.finishFrame()
        case .posted(let message):
            rendering.text.append(message: message, in: conversation.id)
            rendering.finishFrame(for: .otherConnections)
        case .created, .edited, .deleted, .reacted, .pinned, .unpinned, .joined, .renamed, .left,
            .ended, .updated, .typing, .read, .status, .presence, .crowd:
            break  // The protocol has frames only for messages.
        }
    }
}

extension ConversationTemplate {
    /// Only users that a token or a member admits may join.
    public static let pets = ConversationTemplate(origin: "pets")
}
