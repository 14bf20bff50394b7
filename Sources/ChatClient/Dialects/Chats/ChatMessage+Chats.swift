import Bytes
import JSON

extension ChatMessage {
    /// Decodes a message of `messageCreated` and `chatMessages`.
    init?(chats tree: JSONTree) {
        guard let id = tree["id"]?.messageID, let sender = tree["sender"],
            let number = sender["id"]?.integerValue
        else { return nil }
        self.init(id: id, sender: String(number), content: tree["text"]?.stringValue ?? "")
        self.senderName = sender["username"]?.stringValue
        self.sentAt = tree["timestamp"]?.stringValue.flatMap { Timestamp(rfc3339: $0) }
        self.localID = tree["local_id"]?.stringValue
        self.isEdited = tree["is_edited"]?.boolValue ?? false
        self.isDeleted = tree["is_deleted"]?.boolValue ?? false
    }
}
