import Foundation
import TestKit
import Testing

/// The frames of one protocol for the operations that all protocols share.
struct ProtocolAdapter: Sendable, CustomTestStringConvertible {
    /// An event, independent of the protocol.
    enum ReceivedEvent: Equatable, CustomStringConvertible {
        case message(id: Int, author: String, content: String)
        /// A message answers another one.
        case reply(id: Int, to: Int)
        /// The number of the first reaction to a message.
        case reactions(id: Int, emoji: String, count: Int)
        case typing(String)
        /// A user has read all messages up to this one.
        case read(String, through: Int)
        case left(String)
        case ended
        /// The user's own send was refused, with this error.
        case refused(String)

        var description: String {
            switch self {
            case .message(let id, let author, let content): "\(id) \(author): \(content)"
            case .reply(let id, let target): "\(id) replies to \(target)"
            case .reactions(let id, let emoji, let count): "\(id) has \(count) \(emoji)"
            case .typing(let user): "\(user) types"
            case .read(let user, let through): "\(user) has read \(through)"
            case .left(let user): "\(user) is gone"
            case .ended: "the end"
            case .refused(let errorText): "refused: \(errorText)"
            }
        }
    }

    let name: String
    /// The path of the connection for a conversation. It resumes after a message if the protocol
    /// supports that.
    let path: @Sendable (_ conversation: String, _ token: String, _ after: Int?) -> String
    /// The frames that join the conversation, if connecting does not. Each is sent after a frame
    /// with the prefix `behind` has arrived.
    var entryFrames: @Sendable (_ conversation: String) -> [(behind: String, text: String)] = { _ in
        []
    }
    /// A request that the server answers with an error that contains these words.
    var unknownRequest: @Sendable (_ errorText: String) -> String = {
        Self.text(["action": $0, "event": $0, "type": $0])
    }
    let messageFrame: @Sendable (_ conversation: String, _ content: String) -> String
    /// The frame that requests the messages after an id, if the protocol does not send them by
    /// itself.
    var catchUpFrame: (@Sendable (_ conversation: String, _ after: Int) -> String)?
    /// Nil if the protocol has no such frame.
    var typingFrame: (@Sendable (_ conversation: String) -> String)?
    var readFrame: (@Sendable (_ conversation: String, _ id: Int) -> String)?
    /// The topics that the protocol delivers.
    let deliveredTopics: Set<Topic>
    /// The events in a frame for this user. The answer to the user's own send is a message.
    let events: @Sendable (_ text: String, _ me: String) -> [ReceivedEvent]

    enum Topic: Sendable { case typing, reading, presence, end, replies, reactions }

    var testDescription: String { self.name }

    static let all = [conversations, pets, chats, rooms, agents]

    static func text(_ frame: [String: Any]) -> String {
        String(
            decoding: (try? JSONSerialization.data(withJSONObject: frame)) ?? Data(), as: UTF8.self)
    }

    private static func frame(_ text: Substring) -> Any? {
        try? JSONSerialization.jsonObject(with: Data(text.utf8))
    }

    private static func message(
        _ fields: Any?, id: String, author: String = "sender_id", content: String = "content",
        by me: String? = nil
    ) -> [ReceivedEvent] {
        guard let fields = fields as? [String: Any],
            let number = (fields[id] as? Int) ?? (fields[id] as? String).flatMap({ Int($0) })
        else { return [] }
        let sender = (fields["sender"] as? [String: Any])?["username"] as? String
        let message = ReceivedEvent.message(
            id: number, author: me ?? sender ?? fields[author] as? String ?? "",
            content: fields[content] as? String ?? "")
        return [message] + Self.reply(number, fields) + Self.reactions(number, fields)
    }

    private static func reply(_ id: Int, _ fields: [String: Any]) -> [ReceivedEvent] {
        let target =
            (fields["reply_to"] as? Int) ?? (fields["reply_to"] as? String).flatMap { Int($0) }
        return target.map { [.reply(id: id, to: $0)] } ?? []
    }

    private static func reactions(_ id: Int, _ fields: [String: Any]) -> [ReceivedEvent] {
        guard let first = (fields["reactions"] as? [[String: Any]])?.first else { return [] }
        return [
            .reactions(
                id: id, emoji: first["emoji"] as? String ?? "", count: first["count"] as? Int ?? 0)
        ]
    }

    /// The event of reactions, in the protocols that have one.
    private static func reactions(_ fields: [String: Any]?) -> [ReceivedEvent] {
        guard let fields, let id = (fields["message_id"] as? String).flatMap({ Int($0) }) else {
            return []
        }
        return Self.reactions(id, fields)
    }

    private static func refused(_ errorText: Any?) -> [ReceivedEvent] {
        (errorText as? String).map { [.refused($0)] } ?? []
    }

    static let conversations = ProtocolAdapter(
        name: "Conversations",
        path: { "/conversations/\($0)/?token=\($1)" + ($2.map { "&after=\($0)" } ?? "") },
        messageFrame: { Self.text(["action": "send_message", "content": $1]) },
        typingFrame: { _ in Self.text(["action": "typing", "is_typing": true]) },
        readFrame: { Self.text(["action": "read", "message_ids": ["\($1)"]]) },
        deliveredTopics: [.typing, .reading, .presence, .replies, .reactions],
        events: { text, _ in
            guard let frame = Self.frame(text[...]) as? [String: Any] else { return [] }
            switch frame["type"] as? String {
            case "chat_message": return Self.message(frame["message"], id: "id")
            case "reactions": return Self.reactions(frame)
            case "typing":
                return frame["is_typing"] as? Bool == true
                    ? [.typing(frame["user_id"] as? String ?? "")] : []
            case "read":
                let ids = (frame["message_ids"] as? [String] ?? []).compactMap { Int($0) }
                return [
                    .read(
                        frame["user_id"] as? String ?? frame["reader_id"] as? String ?? "",
                        through: ids.max() ?? 0)
                ]
            case "user_status":
                return frame["status"] as? String == "offline"
                    ? [.left(frame["user_id"] as? String ?? "")] : []
            case "message.failed": return Self.refused(frame["error"] ?? frame["reason"])
            default: return []
            }
        })

    static let pets = ProtocolAdapter(
        name: "Pets",
        path: { _, token, _ in "/ws/?token=\(token)" },
        entryFrames: { [("", Self.text(["event": "history", "data": ["conversation_id": $0]]))] },
        messageFrame: {
            Self.text(["event": "message", "data": ["conversation_id": $0, "content": $1]])
        },
        catchUpFrame: {
            Self.text(["event": "history", "data": ["conversation_id": $0, "after": "\($1)"]])
        },
        deliveredTopics: [],
        events: { text, me in
            guard let frame = Self.frame(text[...]) as? [String: Any] else { return [] }
            let data = frame["data"] as? [String: Any]
            switch frame["event"] as? String {
            case "message": return Self.message(data, id: "message_id")
            case "message_sent": return Self.message(data, id: "message_id", by: me)
            case "history":
                return (data?["messages"] as? [Any] ?? []).flatMap {
                    Self.message($0, id: "message_id")
                }
            case "error": return Self.refused(data?["message"])
            default: return []
            }
        })

    static let chats = ProtocolAdapter(
        name: "Chats",
        path: { _, token, _ in "/ws/chats/?token=\(token)" },
        entryFrames: { [("", Self.text(["type": "joinChat", "data": ["chat": $0]]))] },
        messageFrame: { Self.text(["type": "newMessage", "data": ["chat": $0, "text": $1]]) },
        catchUpFrame: { conversation, _ in
            Self.text(["type": "getChatMessages", "data": ["chatId": conversation, "last": 1]])
        },
        readFrame: {
            Self.text(["type": "markRead", "data": ["chat": $0, "last_read_message": $1]])
        },
        deliveredTopics: [.reading, .replies],
        events: { text, _ in
            guard let frame = Self.frame(text[...]) as? [String: Any] else { return [] }
            let data = frame["data"] as? [String: Any]
            switch frame["type"] as? String {
            case "messageCreated": return Self.message(data, id: "id", content: "text")
            case "chatMessages":
                return (frame["data"] as? [Any] ?? []).flatMap {
                    Self.message($0, id: "id", content: "text")
                }
            case "messagesRead":
                let user = (data?["user"] as? [String: Any])?["username"] as? String
                return [.read(user ?? "", through: data?["last_read_message"] as? Int ?? 0)]
            case "error": return Self.refused(data?["message"])
            default: return []
            }
        })

    static let rooms = ProtocolAdapter(
        name: "Rooms",
        path: { _, token, _ in "/socket.io/?EIO=4&transport=websocket&token=\(token)" },
        entryFrames: { [("0{", "40"), ("40{", #"42["join_room",{"room_id":"\#($0)"}]"#)] },
        unknownRequest: { #"42["\#($0)",{}]"# },
        messageFrame: { "42[\"send_message\",\(Self.text(["room_id": $0, "content": $1]))]" },
        // The answer to a join contains the missed messages.
        catchUpFrame: { conversation, _ in #"42["join_room",{"room_id":"\#(conversation)"}]"# },
        typingFrame: { #"42["typing",{"room_id":"\#($0)","is_typing":true}]"# },
        deliveredTopics: [.typing, .presence, .end, .replies, .reactions],
        events: { text, _ in
            guard text.hasPrefix("42["), let event = Self.frame(text.dropFirst(2)) as? [Any],
                let data = event.last as? [String: Any]
            else {
                return []
            }
            let user = data["user_id"] as? String ?? ""
            switch event.first as? String {
            case "new_message": return Self.message(data, id: "id", author: "user_id")
            case "reactions": return Self.reactions(data)
            case "conversation_state":
                return (data["messages"] as? [Any] ?? []).flatMap {
                    Self.message($0, id: "id", author: "user_id")
                }
            case "user_typing": return data["is_typing"] as? Bool == true ? [.typing(user)] : []
            case "user_left": return [.left(user)]
            case "conversation_ended": return [.ended]
            case "error": return Self.refused(data["message"])
            default: return []
            }
        })

    static let agents = ProtocolAdapter(
        name: "Agents",
        path: { "/v1/ws?channel_id=\($0)&token=\($1)" + ($2.map { "&after=\($0)" } ?? "") },
        messageFrame: { Self.text(["type": "message", "content": $1]) },
        deliveredTopics: [.presence, .replies],
        events: { text, me in
            guard let frame = Self.frame(text[...]) as? [String: Any] else { return [] }
            switch frame["type"] as? String {
            case "message": return Self.message(frame, id: "seq", author: "agent_id")
            case "ACK": return Self.message(frame, id: "seq", by: me)
            case "status":
                return frame["status"] as? String == "offline"
                    ? [.left(frame["agent_id"] as? String ?? "")] : []
            case "ERROR": return Self.refused(frame["error"])
            default: return []
            }
        })
}
