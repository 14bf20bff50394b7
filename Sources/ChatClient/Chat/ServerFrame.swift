public import Bytes
internal import JSON

/// A message of a conversation, as the Conversations protocol shows it.
public struct ChatMessage: Sendable, Equatable {
    /// 1, 2, 3 … without holes.
    public var id: Int
    public var sender: String
    public var content: String
    /// When it was sent; nil when the server's time cannot be read.
    public var sentAt: Timestamp?
    /// The sending client's own name for it.
    public var localID: String?
    public var isEdited = false
    public var isDeleted = false
}

/// What became of a message of one's own.
public enum DeliveryStatus: Sendable, Hashable {
    case delivered, read
}

/// What a server of the Conversations protocol says.
enum ServerFrame: Equatable {
    case message(ChatMessage)
    case edited(ChatMessage)
    case deleted(ChatMessage)
    /// Newest first, as the protocol has it.
    case fetched([ChatMessage])
    /// `retryAfter` in seconds.
    case failed(localID: String?, sentence: String, retryAfter: Double?)
    case typing(user: String, name: String, isTyping: Bool)
    case status(id: Int, DeliveryStatus)
    case presence(user: String, isOnline: Bool)
    case crowd(online: Int)
    case heartbeat
    case error(action: String?, sentence: String, retryAfter: Double?, oldestID: Int?)
    /// Receipts of others, and what later servers may say.
    case other

    /// Nil when it is no JSON object with a type.
    init?(_ text: [UInt8]) {
        guard let tree = try? JSONTree(parsing: text.span.bytes), let type = tree["type"]?.stringValue else { return nil }
        self = Self.read(type, tree) ?? .other
    }

    /// Nil when a member is missing without which the frame says nothing.
    private static func read(_ type: String, _ tree: JSONTree) -> ServerFrame? {
        switch type {
        case "chat_message": return tree["message"].flatMap(ChatMessage.init).map { .message($0) }
        case "message.edited": return tree["message"].flatMap(ChatMessage.init).map { .edited($0) }
        case "message.deleted": return tree["message"].flatMap(ChatMessage.init).map { .deleted($0) }
        case "messages_fetched": return .fetched((tree["messages"]?.elements ?? []).compactMap(ChatMessage.init))
        case "message.failed":
            return .failed(
                localID: tree["local_id"]?.stringValue, sentence: tree["error"]?.stringValue ?? "no reason was given",
                retryAfter: tree["retry_after"]?.doubleValue)
        case "typing":
            guard let user = tree["user_id"]?.stringValue, let isTyping = tree["is_typing"]?.boolValue else { return nil }
            return .typing(user: user, name: tree["username"]?.stringValue ?? user, isTyping: isTyping)
        case "message.status":
            guard let id = tree["message_id"].flatMap(Self.messageID) else { return nil }
            switch tree["status"]?.stringValue {
            case "delivered": return .status(id: id, .delivered)
            case "read": return .status(id: id, .read)
            default: return nil
            }
        case "user_status":
            guard let user = tree["user_id"]?.stringValue, let status = tree["status"]?.stringValue else { return nil }
            return .presence(user: user, isOnline: status == "online")
        case "presence": return tree["online"]?.integerValue.map { .crowd(online: $0) }
        case "heartbeat": return .heartbeat
        case "error":
            return .error(
                action: tree["action"]?.stringValue, sentence: tree["error"]?.stringValue ?? "no reason was given",
                retryAfter: tree["retry_after"]?.doubleValue, oldestID: tree["oldest_id"].flatMap(Self.messageID))
        default: return nil
        }
    }

    /// A decimal string, or an integer as other dialects have it.
    fileprivate static func messageID(_ tree: JSONTree) -> Int? {
        guard let id = tree.stringValue.flatMap({ Int($0) }) ?? tree.integerValue, id > 0 else { return nil }
        return id
    }
}

extension ChatMessage {
    fileprivate init?(_ tree: JSONTree) {
        guard let id = tree["id"].flatMap(ServerFrame.messageID), let sender = tree["sender_id"]?.stringValue else { return nil }
        self.id = id
        self.sender = sender
        self.content = tree["content"]?.stringValue ?? ""
        // Live messages call it so, fetched ones so.
        self.sentAt = (tree["timestamp"] ?? tree["sent_at"])?.stringValue.flatMap { Timestamp(rfc3339: $0) }
        self.localID = tree["local_id"]?.stringValue
        self.isEdited = tree["is_edited"]?.boolValue ?? false
        self.isDeleted = tree["is_deleted"]?.boolValue ?? false
    }
}

extension Timestamp {
    /// A moment as our servers write it, in UTC: `2026-01-31T12:00:00.123Z`, with or without the fraction.
    init?(rfc3339 text: String) {
        let parts = text.utf8.split(whereSeparator: { !(0x30...0x39).contains($0) }).map { String(decoding: $0, as: UTF8.self) }
        guard text.hasSuffix("Z"), parts.count == 6 || parts.count == 7 else { return nil }
        let numbers = parts.prefix(6).compactMap { Int($0) }
        guard numbers.count == 6, let day = CivilDay(year: numbers[0], month: numbers[1], day: numbers[2]),
            numbers[3] < 24, numbers[4] < 60, numbers[5] <= 60
        else { return nil }
        let seconds = day.daysSince1970 * 86_400 + numbers[3] * 3600 + numbers[4] * 60 + numbers[5]
        let fraction = parts.count == 7 ? Int((parts[6] + "00").prefix(3)) ?? 0 : 0
        self.init(milliseconds: Int64(seconds) * 1000 + Int64(fraction))
    }
}
