import Foundation
import TestKit
import Testing

/// How a client of one protocol says and hears what all protocols have.
struct Speaker: Sendable, CustomTestStringConvertible {
    /// A message as it is heard, whoever's it is.
    struct Heard: Equatable, CustomStringConvertible {
        let id: Int
        let author: String
        let content: String
        var description: String { "\(self.id) \(self.author): \(self.content)" }
    }

    let name: String
    /// Where somebody connects who wants to come into a conversation, from behind this message on if the protocol can do that.
    let path: @Sendable (_ conversation: String, _ token: String, _ after: Int?) -> String
    /// What is sent to come in, where that is not done by connecting.
    var enter: (@Sendable (_ conversation: String) -> [String: Any])?
    let say: @Sendable (_ conversation: String, _ content: String) -> [String: Any]
    /// What is sent to read what was said behind a message, where that does not come by itself.
    var missed: (@Sendable (_ conversation: String, _ after: Int) -> [String: Any])?
    /// The messages of a frame that came to this user; an answer to one's own send is one.
    let heard: @Sendable (_ frame: [String: Any], _ me: String) -> [Heard]

    var testDescription: String { self.name }

    static let all = [conversations, pets, chats, agents]

    private static func message(_ fields: Any?, id: String, author: String = "sender_id", content: String = "content", by me: String? = nil)
        -> [Heard]
    {
        guard let fields = fields as? [String: Any], let number = (fields[id] as? Int) ?? (fields[id] as? String).flatMap({ Int($0) })
        else {
            return []
        }
        let sender = (fields["sender"] as? [String: Any])?["username"] as? String
        return [Heard(id: number, author: me ?? sender ?? fields[author] as? String ?? "", content: fields[content] as? String ?? "")]
    }

    static let conversations = Speaker(
        name: "Conversations",
        path: { "/conversations/\($0)/?token=\($1)" + ($2.map { "&after=\($0)" } ?? "") },
        say: { ["action": "send_message", "content": $1] },
        heard: { frame, _ in frame["type"] as? String == "chat_message" ? Self.message(frame["message"], id: "id") : [] })

    static let pets = Speaker(
        name: "Pets",
        path: { _, token, _ in "/ws/?token=\(token)" },
        enter: { ["event": "history", "data": ["conversation_id": $0]] },
        say: { ["event": "message", "data": ["conversation_id": $0, "content": $1]] },
        missed: { ["event": "history", "data": ["conversation_id": $0, "after": "\($1)"]] },
        heard: { frame, me in
            switch frame["event"] as? String {
            case "message": Self.message(frame["data"], id: "message_id")
            case "message_sent": Self.message(frame["data"], id: "message_id", by: me)
            case "history":
                ((frame["data"] as? [String: Any])?["messages"] as? [Any] ?? []).flatMap { Self.message($0, id: "message_id") }
            default: []
            }
        })

    static let chats = Speaker(
        name: "Chats",
        path: { _, token, _ in "/ws/chats/?token=\(token)" },
        enter: { ["type": "joinChat", "data": ["chat": $0]] },
        say: { ["type": "newMessage", "data": ["chat": $0, "text": $1]] },
        missed: { conversation, _ in ["type": "getChatMessages", "data": ["chatId": conversation, "last": 1]] },
        heard: { frame, _ in
            switch frame["type"] as? String {
            case "messageCreated": Self.message(frame["data"], id: "id", content: "text")
            case "chatMessages": (frame["data"] as? [Any] ?? []).flatMap { Self.message($0, id: "id", content: "text") }
            default: []
            }
        })

    static let agents = Speaker(
        name: "Agents",
        path: { "/v1/ws?channel_id=\($0)&token=\($1)" + ($2.map { "&after=\($0)" } ?? "") },
        say: { ["type": "message", "content": $1] },
        heard: { frame, _ in frame["type"] as? String == "message" ? Self.message(frame, id: "seq", author: "agent_id") : [] })
}
