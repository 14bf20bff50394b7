import Bytes
import ChatModel
import DialectKit
import JSON

/// A request of a client, parsed from its frame.
enum ChatsRequest: Sendable {
    case chats
    case create
    case join(ByteString, lastRead: SequenceNumber?)
    case details(ByteString)
    case post(ByteString, Post)
    /// The newest messages in a range of days, and below a number if there is one.
    case messages(ByteString, DayRange, last: Int, before: SequenceNumber?)
    case markRead(ByteString, SequenceNumber)
    case authenticate(String)

    /// A message that a client sends to a chat.
    struct Post: Sendable {
        let text: String
        let isRead: Bool
        /// The client's own id of the message.
        let localID: ByteString?
    }

    /// The maximum number of messages in one answer.
    static let messageLimit = 10_000

    /// - Throws: a sentence that starts with the field's name.
    static func parse(
        _ type: ByteString, _ document: borrowing JSONDocument, _ bytes: RawSpan, at now: Timestamp,
        limits: Limits
    ) throws(FieldError) -> Self {
        switch type {
        case "getChats":
            return .chats
        case "createEmptyChat":
            return .create
        case "joinChat":
            let data = try document.requiredObject("data", of: document.root, in: bytes)
            let chat = try document.requiredChatID("chat", of: data, in: bytes)
            return .join(
                chat,
                lastRead: try document.optionalInteger(
                    "last_read_message", within: 0...Int.max, of: data, in: bytes))
        case "getChatDetails":
            let data = try document.requiredObject("data", of: document.root, in: bytes)
            return .details(try document.requiredChatID("chatId", of: data, in: bytes))
        case "newMessage":
            let data = try document.requiredObject("data", of: document.root, in: bytes)
            let chat = try document.requiredChatID("chat", of: data, in: bytes)
            let text = try document.messageContent("text", of: data, in: bytes, limits: limits)
            let localID = try document.optionalString("local_id", of: data, in: bytes).map {
                ByteString($0)
            }
            if let localID, ClientMessageID(given: localID) == nil {
                throw FieldError(ChatError.clientMessageIDInvalid)
            }
            let isRead = try document.optionalBool("is_read", of: data, in: bytes) ?? false
            return .post(chat, Post(text: text, isRead: isRead, localID: localID))
        case "getChatMessages":
            let data = try document.requiredObject("data", of: document.root, in: bytes)
            let chat = try document.requiredChatID("chatId", of: data, in: bytes)
            let days = try Self.parseDays(document, data, bytes, at: now)
            let last = try document.optionalInteger(
                "last", within: 1...Self.messageLimit, of: data, in: bytes)
            let before = try document.optionalInteger(
                "before_id", within: 1...Int.max, of: data, in: bytes)
            return .messages(chat, days, last: last ?? Self.messageLimit, before: before)
        case "markRead":
            let data = try document.requiredObject("data", of: document.root, in: bytes)
            let chat = try document.requiredChatID("chat", of: data, in: bytes)
            guard
                let read = try document.optionalInteger(
                    "last_read_message", within: 0...Int.max, of: data, in: bytes)
            else {
                throw FieldError("last_read_message: is missing")
            }
            return .markRead(chat, read)
        case "authenticate":
            let data = try document.requiredObject("data", of: document.root, in: bytes)
            return .authenticate(try document.requiredString("token", of: data, in: bytes))
        default:
            throw FieldError("type: \"\(type)\" is unknown")
        }
    }

    private static func parseDays(
        _ document: borrowing JSONDocument, _ data: JSONValue, _ bytes: RawSpan, at now: Timestamp
    ) throws(FieldError) -> DayRange {
        var days = DayRange()
        if let text = try document.optionalString("date_from", of: data, in: bytes) {
            days.first = DayRange.firstDay(text, at: now)
            guard days.first != nil else {
                throw FieldError(
                    "date_from: must be a day as YYYY-MM-DD, yesterday, day_before_yesterday "
                        + "or last_7_days"
                )
            }
        }
        if let text = try document.optionalString("date_to", of: data, in: bytes) {
            days.last = DayRange.parseDay(text)
            guard days.last != nil else { throw FieldError("date_to: must be a day as YYYY-MM-DD") }
        }
        return days
    }

    var isPost: Bool { if case .post = self { true } else { false } }
    var localID: ByteString? { if case .post(_, let post) = self { post.localID } else { nil } }

    /// The type of the request in the protocol.
    var type: ByteString {
        switch self {
        case .chats: "getChats"
        case .create: "createEmptyChat"
        case .join: "joinChat"
        case .details: "getChatDetails"
        case .post: "newMessage"
        case .messages: "getChatMessages"
        case .markRead: "markRead"
        case .authenticate: "authenticate"
        }
    }

    /// The protocol's name of the field that names the chat.
    var chatField: StaticString {
        switch self {
        case .details, .messages: "chatId"
        case .chats, .create, .join, .post, .markRead, .authenticate: "chat"
        }
    }

    /// The text of an error, with the protocol's name of the field that it concerns.
    ///
    /// - Parameter chatField: the field that names the chat.
    static func errorText(_ error: ChatError, chatField: StaticString = "chat") -> String {
        switch error {
        case .noSuchConversation, .accessDenied: "\(chatField): no such chat"
        case .notAMember: "\(chatField): \(error)"
        case .idTaken: "username: a member of this chat has this name; choose another one"
        case .contentEmpty: "text: must not be empty"
        case .contentTooLong(let limit): "text: longer than \(limit) bytes"
        case .noSuchMessage(let id): "last_read_message: there is no message \(id)"
        default: error.description
        }
    }
}
