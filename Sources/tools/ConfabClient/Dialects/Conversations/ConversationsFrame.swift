import Bytes
import JSON

/// A frame of a server of the Conversations protocol.
enum ConversationsFrame: Equatable {
    case message(ChatMessage)
    case edited(ChatMessage)
    case deleted(ChatMessage)
    /// Reactions, pins, what a search has found, and changes of the conversation.
    case feature(ServerEvent)
    /// In the order of the server, with the revision of the read.
    case fetched([ChatMessage], rev: Int?)
    /// `retryAfter` in seconds.
    case sendFailed(localID: String?, reason: String, retryAfter: Double?)
    case typing(user: String, name: String, isTyping: Bool)
    case status(id: Int, MessageState)
    /// A user has read these messages.
    case read(by: String, ids: [Int])
    case presence(user: String, name: String, isOnline: Bool)
    case onlineCount(online: Int)
    case heartbeat
    case error(action: String?, reason: String, retryAfter: Double?, oldestID: Int?)
    /// The server has another history than before, and this is its newest message.
    case reset(head: Int)
    /// Unknown types of later servers.
    case other

    /// Returns nil when it has no type.
    init?(_ tree: JSONTree) {
        guard let type = tree["type"]?.stringValue else { return nil }
        self = Self.read(type, tree) ?? .other
    }

    /// Returns nil when a required member is missing.
    private static func read(_ type: String, _ tree: JSONTree) -> Self? {
        switch type {
        case "chat_message":
            return tree["message"].flatMap(ChatMessage.init(conversations:)).map { .message($0) }
        case "message.edited":
            return tree["message"].flatMap(ChatMessage.init(conversations:)).map { .edited($0) }
        case "message.deleted":
            return tree["message"].flatMap(ChatMessage.init(conversations:)).map { .deleted($0) }
        case "messages_fetched":
            return .fetched(tree.conversationsMessages, rev: tree["rev"]?.integerValue)
        case "reactions": return tree.reactionsEvent.map { .feature($0) }
        case "reacted":
            guard let id = tree["message_id"]?.messageID else { return nil }
            return .feature(.reacted(id: id, rev: tree["rev"]?.integerValue ?? 0))
        case "pinned", "unpinned":
            guard let message = tree["message"].flatMap(ChatMessage.init(conversations:)),
                let user = tree["by"]?.stringValue
            else { return nil }
            return .feature(
                type == "pinned" ? .pinned(message, by: user) : .unpinned(message, by: user))
        case "pins": return .feature(.pins(tree.conversationsMessages))
        case "search_results":
            return .feature(.found(tree.found(tree.conversationsMessages)))
        case "message.failed":
            return .sendFailed(
                localID: tree["local_id"]?.stringValue, reason: tree.errorMessage("error"),
                // Sending it again under the same id resolves an unknown outcome.
                retryAfter: tree.retryAfter
                    ?? (tree["outcome"]?.stringValue == "unknown" ? 1 : nil))
        case "typing":
            guard let user = tree["user_id"]?.stringValue,
                let isTyping = tree["is_typing"]?.boolValue
            else { return nil }
            return .typing(
                user: user, name: tree["username"]?.stringValue ?? user, isTyping: isTyping)
        case "message.status":
            guard let id = tree["message_id"]?.messageID else { return nil }
            switch tree["status"]?.stringValue {
            case "delivered": return .status(id: id, .delivered)
            case "read": return .status(id: id, .read)
            default: return nil
            }
        case "user_status":
            guard let user = tree["user_id"]?.stringValue, let status = tree["status"]?.stringValue
            else { return nil }
            return .presence(
                user: user, name: tree["username"]?.stringValue ?? user,
                isOnline: status == "online")
        case "read":
            guard let user = tree["user_id"]?.stringValue else { return nil }
            return .read(
                by: user, ids: (tree["message_ids"]?.elements ?? []).compactMap(\.messageID))
        case "presence": return tree["online"]?.integerValue.map { .onlineCount(online: $0) }
        case "conversation.updated":
            return tree.updatedEvent(by: tree["by"]?.stringValue).map { .feature($0) }
        case "heartbeat": return .heartbeat
        case "error":
            if let head = tree.resetHead { return .reset(head: head) }
            return .error(
                action: tree["action"]?.stringValue, reason: tree.errorMessage("error"),
                retryAfter: tree.retryAfter,
                oldestID: tree["oldest_id"]?.messageID)
        default: return nil
        }
    }
}

extension JSONTree {
    /// The messages of a page, in the server's order.
    fileprivate var conversationsMessages: [ChatMessage] {
        (self["messages"]?.elements ?? []).compactMap(ChatMessage.init(conversations:))
    }
}

extension ChatMessage {
    fileprivate init?(conversations tree: JSONTree) {
        guard let id = tree["id"]?.messageID, let sender = tree["sender_id"]?.stringValue else {
            return nil
        }
        self.init(id: id, author: sender, text: tree["content"]?.stringValue ?? "")
        // Live messages have `timestamp`, fetched ones `sent_at`.
        self.time = (tree["timestamp"] ?? tree["sent_at"])?.stringValue.flatMap {
            Timestamp(rfc3339: $0)
        }
        self.localID = tree["local_id"]?.stringValue
        self.authorName = tree["username"]?.stringValue
        self.rev = tree["rev"]?.integerValue ?? 0
        self.isEdited = tree["is_edited"]?.boolValue ?? false
        if tree["is_deleted"]?.boolValue == true { self.state = .deleted }
        self.readFeatures(tree)
    }
}
