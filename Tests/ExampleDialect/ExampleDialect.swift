import Bytes
public import ChatModel
public import DialectKit
import Identity
import JSON

/// A sixth protocol, which proves that no module below the dialects needs to know it: one WebSocket
/// for one conversation, `/example/{id}?token=`, with a JSON object per frame.
///
/// The client sends `{"content":"hello","id":"7"}`, with `id` optional. The server sends
/// `{"joined":12}` with the newest message, `{"message":13,"author":"ann","content":"hello"}` with
/// the id of the client's message, `{"truncated":5}`, `{"reset":3}` and `{"error":"reason"}`.
public struct ExampleDialect: Dialect {
    public let name: StaticString = "example"
    public let upgradePaths: [PathPattern] = ["/example/{id}"]

    public init() {}

    public func open(_ request: DialectRequest) -> OpenResult? {
        guard request.path.count == 2, request.path[0] == "example" else { return nil }
        guard case .bearer(let identity) = request.credentials else {
            return .session(RefusedSession(code: 4401, reason: "a valid token is required"))
        }
        guard IdentityRule.conversation.allows(request.path[1]) else {
            return .session(RefusedSession(code: 4404, reason: "no such conversation"))
        }
        return .session(
            ExampleDialectSession(
                identity, in: ByteString(request.path[1]),
                from: ResumePoint(after: request.queryValue("after"), rev: nil)))
    }

    public func render(
        _ event: ChatEvent, in conversation: ConversationKey, into rendering: inout Rendering
    ) {
        guard case .posted(let message) = event else { return }
        rendering.text.append(exampleMessage: message)
        rendering.finishFrame()
    }
}

extension ConversationTemplate {
    public static let example = ConversationTemplate(origin: "example")
}

extension ByteBuffer {
    mutating func append(exampleMessage message: Message) {
        self.append(#"{"message":"#)
        self.append(decimal: message.sequence)
        self.append(#","author":"#)
        self.append(jsonString: message.body.author.id.displayID)
        self.append(#","content":"#)
        self.append(jsonString: message.body.content)
        self.append(exampleID: message.body.clientMessageID?.displayID)
        self.append("}")
    }

    mutating func append(exampleError sentence: String, id: ByteString?) {
        self.append(#"{"error":"#)
        self.append(jsonString: sentence)
        self.append(exampleID: id)
        self.append("}")
    }

    private mutating func append(exampleID id: ByteString?) {
        guard let id else { return }
        self.append(#","id":"#)
        self.append(jsonString: id)
    }
}
