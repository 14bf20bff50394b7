internal import JSON

/// How far an owner has stored a conversation, in its reply to another node.
struct OwnerPosition: Equatable {
    let head: Int
    let revision: Int

    init(head: Int, revision: Int) {
        self.head = head
        self.revision = revision
    }

    /// Nil if the node does not own the conversation, or the reply is malformed.
    init?(_ tree: JSONTree?) {
        guard let head = tree?["head"]?.integerValue, let revision = tree?["revision"]?.integerValue
        else { return nil }
        self.init(head: head, revision: revision)
    }

    var tree: JSONTree { ["head": .integer(self.head), "revision": .integer(self.revision)] }
}
