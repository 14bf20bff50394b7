import AgentsDialect
import Bytes
import ChatsDialect
import ConversationsDialect
import DialectKit
import ExampleDialect
import Foundation
import Identity
import PetsDialect
import RoomsDialect
import Testing

/// A dialect that must behave like all others, and how tests use it.
///
/// To test another dialect, add a value to `all`. The tests need no change.
struct DialectUnderTest: Sendable, CustomTestStringConvertible {
    let dialect: any Dialect
    /// The request of a client that wants to enter a conversation, resuming after a message.
    let request: @Sendable (_ conversation: String, _ after: Int?, Credentials) -> DialectRequest
    /// The frame that connects a client, if the protocol needs one. A refused client sends no
    /// further frame.
    var connectFrame: String?
    /// The frame that enters a conversation, if the connection does not.
    var enterFrame: (@Sendable (_ conversation: String) -> String)?
    /// Whether a connection is subscribed to all conversations of its user, and not only to those
    /// that it has entered.
    var receivesAllConversations = false
    /// Whether a client can resume after a message.
    var canResume = true
    /// The events of some protocols that the dialect's sessions handle.
    let events: Set<OptionalEvent>
    /// The frame that posts a message.
    let postFrame: @Sendable (_ conversation: String, _ content: String, _ id: String?) -> String
    /// A frame with a field of the wrong type.
    let wrongTypeFrame: String
    /// Wraps a text that is not a valid frame, if the transport needs it.
    var frameWithText: @Sendable (String) -> String = { $0 }
    /// Parses a frame.
    var parseFrame: @Sendable (_ frame: String) -> [String: Any] = {
        (try? JSONSerialization.jsonObject(with: Data($0.utf8))) as? [String: Any] ?? [:]
    }
    /// Returns the message in a frame to `me`, or the answer to a message of `me`.
    let message: @Sendable (_ frame: [String: Any], _ me: String) -> DeliveredMessage?
    /// Whether a frame is an error.
    let isError: @Sendable ([String: Any]) -> Bool

    var testDescription: String { self.dialect.name.description }

    /// Events of `DialectSession` that have default implementations.
    enum OptionalEvent: CaseIterable {
        case page, storeAnswer, inboxMessage, historyTruncated, historyReset, wake, delivery
        /// The session can move to another node.
        case move
    }

    /// A message in the form that all dialects have in common.
    struct DeliveredMessage: Equatable, CustomStringConvertible {
        let id: Int
        let author: String
        /// Nil in an answer that does not repeat it.
        let content: String?
        var description: String { "\(self.id) \(self.author): \(self.content ?? "…")" }

        static func == (left: Self, right: Self) -> Bool {
            left.id == right.id && left.author == right.author
                && (left.content == right.content || left.content == nil || right.content == nil)
        }
    }

    static let all = [conversations, pets, chats, agents, rooms, example]

    static let conversations = DialectUnderTest(
        dialect: ConversationsDialect(),
        request: { conversation, after, credentials in
            DialectRequest(
                path: ["conversations", conversation],
                query: after.map { [("after", "\($0)")] } ?? [], credentials: credentials,
                now: Timestamp(milliseconds: 0))
        },
        events: [.page, .storeAnswer, .historyTruncated, .historyReset],
        postFrame: { _, content, id in
            Self.json(["action": "send_message", "content": content, "local_id": id as Any?])
        },
        wrongTypeFrame: #"{"action":"typing","is_typing":"perhaps"}"#,
        message: { frame, _ in
            guard frame["type"] as? String == "chat_message",
                let message = frame["message"] as? [String: Any],
                let id = (message["id"] as? String).flatMap({ Int($0) }),
                let author = message["sender_id"] as? String,
                let content = message["content"] as? String
            else { return nil }
            return DeliveredMessage(id: id, author: author, content: content)
        },
        isError: { ["error", "message.failed"].contains($0["type"] as? String) })

    static let pets = DialectUnderTest(
        dialect: PetsDialect(),
        request: { _, _, credentials in
            DialectRequest(
                path: ["ws"], query: [], credentials: credentials, now: Timestamp(milliseconds: 0))
        },
        enterFrame: { Self.json(["event": "history", "data": ["conversation_id": $0]]) },
        receivesAllConversations: true,
        canResume: false,
        events: [.page, .storeAnswer, .inboxMessage],
        postFrame: { conversation, content, id in
            Self.json([
                "event": "message",
                "data": [
                    "conversation_id": conversation, "content": content, "local_id": id as Any?,
                ].compactMapValues { $0 },
            ])
        },
        wrongTypeFrame: #"{"event":"history","data":{"conversation_id":7}}"#,
        message: { frame, me in
            guard let event = frame["event"] as? String,
                ["message", "message_sent"].contains(event),
                let data = frame["data"] as? [String: Any],
                let id = (data["message_id"] as? String).flatMap({ Int($0) }),
                let content = data["content"] as? String
            else { return nil }
            return DeliveredMessage(
                id: id, author: event == "message" ? data["sender_id"] as? String ?? "" : me,
                content: content)
        },
        isError: { $0["event"] as? String == "error" })

    static let chats = DialectUnderTest(
        dialect: ChatsDialect(),
        request: { _, _, credentials in
            DialectRequest(
                path: ["ws", "chats"], query: [], credentials: credentials,
                now: Timestamp(milliseconds: 0))
        },
        enterFrame: { Self.json(["type": "joinChat", "data": ["chat": $0]]) },
        receivesAllConversations: true,
        canResume: false,
        events: [.page, .storeAnswer, .inboxMessage, .wake],
        postFrame: { conversation, content, id in
            Self.json([
                "type": "newMessage",
                "data": ["chat": conversation, "text": content, "local_id": id as Any?]
                    .compactMapValues { $0 },
            ])
        },
        wrongTypeFrame: #"{"type":"joinChat","data":{"chat":[7]}}"#,
        message: { frame, _ in
            guard frame["type"] as? String == "messageCreated",
                let data = frame["data"] as? [String: Any], let id = data["id"] as? Int,
                let author = (data["sender"] as? [String: Any])?["username"] as? String,
                let content = data["text"] as? String
            else { return nil }
            return DeliveredMessage(id: id, author: author, content: content)
        },
        isError: { $0["type"] as? String == "error" })

    static let agents = DialectUnderTest(
        dialect: AgentsDialect(),
        request: { conversation, after, credentials in
            DialectRequest(
                path: ["v1", "ws"],
                query: [("channel_id", conversation)] + (after.map { [("after", "\($0)")] } ?? []),
                credentials: credentials, now: Timestamp(milliseconds: 0))
        },
        events: [.inboxMessage, .historyTruncated, .historyReset],
        postFrame: { _, content, id in
            Self.json(["type": "message", "content": content, "id": id as Any?])
        },
        wrongTypeFrame: #"{"type":"message","content":"x","metadata":7}"#,
        message: { frame, me in
            guard let seq = frame["seq"] as? Int else { return nil }
            if frame["type"] as? String == "ACK" {
                return DeliveredMessage(id: seq, author: me, content: nil)
            }
            guard frame["type"] as? String == "message", let author = frame["agent_id"] as? String,
                let content = frame["content"] as? String
            else { return nil }
            return DeliveredMessage(id: seq, author: author, content: content)
        },
        isError: { $0["type"] as? String == "ERROR" })

    static let rooms = DialectUnderTest(
        dialect: RoomsDialect(key: RecoveryKey(derivedFrom: Array("secret".utf8), cluster: "test")),
        request: { _, _, credentials in
            DialectRequest(
                path: ["socket.io"], query: [], credentials: credentials,
                now: Timestamp(milliseconds: 0))
        },
        connectFrame: "0",
        enterFrame: { "2[\"join_room\",\(Self.json(["room_id": $0]))]" },
        // A client resumes with a recovery token and not with a number.
        canResume: false,
        events: [
            .page, .storeAnswer, .historyTruncated, .historyReset, .wake, .delivery, .move,
        ],
        postFrame: { conversation, content, id in
            let argument = Self.json([
                "room_id": conversation, "content": content, "local_id": id as Any?,
            ])
            return "2[\"send_message\",\(argument)]"
        },
        wrongTypeFrame: #"2["typing",{"room_id":"room","is_typing":"perhaps"}]"#,
        frameWithText: { text in
            let data = try? JSONSerialization.data(withJSONObject: ["send_message", text])
            return "2" + String(decoding: data ?? Data(), as: UTF8.self)
        },
        parseFrame: { frame in
            // The type bytes of Engine.IO and Socket.IO.
            let payload = try? JSONSerialization.jsonObject(with: Data(frame.utf8.dropFirst(2)))
            switch frame.prefix(2) {
            case "42":
                guard let parts = payload as? [Any], parts.count == 2 else { return [:] }
                return ["event": parts[0], "data": parts[1]]
            case "44": return ["event": "connect_error", "data": payload ?? [:]]
            default: return [:]
            }
        },
        message: { frame, _ in
            guard frame["event"] as? String == "new_message",
                let data = frame["data"] as? [String: Any],
                let id = (data["id"] as? String).flatMap({ Int($0) }),
                let author = data["user_id"] as? String,
                let content = data["content"] as? String
            else { return nil }
            return DeliveredMessage(id: id, author: author, content: content)
        },
        isError: { ["error", "connect_error"].contains($0["event"] as? String) })

    static let example = DialectUnderTest(
        dialect: ExampleDialect(),
        request: { conversation, after, credentials in
            DialectRequest(
                path: ["example", conversation], query: after.map { [("after", "\($0)")] } ?? [],
                credentials: credentials, now: Timestamp(milliseconds: 0))
        },
        events: [.historyTruncated, .historyReset],
        postFrame: { _, content, id in Self.json(["content": content, "id": id as Any?]) },
        wrongTypeFrame: #"{"content":7}"#,
        message: { frame, _ in
            guard let id = frame["message"] as? Int, let author = frame["author"] as? String,
                let content = frame["content"] as? String
            else { return nil }
            return DeliveredMessage(id: id, author: author, content: content)
        },
        isError: { $0["error"] != nil })

    static func json(_ members: [String: Any?]) -> String {
        let data = try? JSONSerialization.data(withJSONObject: members.compactMapValues { $0 })
        return String(decoding: data ?? Data(), as: UTF8.self)
    }
}
