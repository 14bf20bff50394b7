import Bytes
import JSON

extension ChatMessage {
    /// Decodes a message of `messageCreated` and `chatMessages`.
    init?(chats tree: JSONTree) {
        guard let id = tree["id"]?.messageID, let sender = tree["sender"],
            let number = sender["id"]?.integerValue
        else { return nil }
        self.init(id: id, author: String(number), text: tree["text"]?.stringValue ?? "")
        self.authorName = sender["username"]?.stringValue
        self.time = tree["timestamp"]?.stringValue.flatMap { Timestamp(rfc3339: $0) }
        self.localID = tree["local_id"]?.stringValue
        self.isEdited = tree["is_edited"]?.boolValue ?? false
        if tree["is_deleted"]?.boolValue == true { self.state = .deleted }
        self.readFeatures(tree)
        self.guestKey = sender["guest_key"]?.stringValue
    }
}
