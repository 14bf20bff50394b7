import Bytes
import JSON

extension JSONTree {
    /// The user that a field names; guests are prefixed.
    func roomsUser(_ name: String = "user_id") -> String? {
        self[name]?.stringValue.map { self["guest"]?.boolValue == true ? "guest:\($0)" : $0 }
    }
}

extension ChatMessage {
    init?(rooms tree: JSONTree) {
        guard let id = tree["id"]?.messageID, let user = tree.roomsUser() else { return nil }
        self.init(id: id, author: user, text: tree["content"]?.stringValue ?? "")
        self.authorName = tree["username"]?.stringValue
        self.time = tree["timestamp"]?.stringValue.flatMap { Timestamp(rfc3339: $0) }
        self.isEdited = tree["is_edited"]?.boolValue ?? false
        if tree["is_deleted"]?.boolValue == true { self.state = .deleted }
        self.readFeatures(tree)
    }
}
