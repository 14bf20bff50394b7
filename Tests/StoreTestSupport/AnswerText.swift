import Bytes
public import ChatModel

extension StoreAnswer {
    /// All that an answer says, so that two answers are the same if their texts are.
    ///
    /// Failures differ from store to store: only that they are failures counts.
    public var text: String {
        switch self {
        case .claimed(let epoch): "claimed \(epoch)"
        case .outdated(let view): "outdated by \(view)"
        case .loaded(nil): "no conversation"
        case .loaded(let loaded?): loaded.text
        case .recent(let messages):
            messages.map { "\($0.sequence) \($0.author) \($0.clientID?.text.string ?? "-") \($0.sentAt.milliseconds)" }.joined(
                separator: "\n")
        case .written(.stored): "stored"
        case .written(.refused(let places)): places.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", ")
        case .page(let page): page.text
        case .unread(let count): "unread \(count)"
        case .done: "done"
        case .failed: "failed"
        }
    }
}

extension LoadedConversation {
    /// All of it but the order of the members.
    public var text: String {
        let record = self.record
        let members = self.members.sorted { $0.user < $1.user }.map { member in
            "\(member.user) \(member.name) \(member.role) \(member.joinedAt.milliseconds) \(member.readCursor) \(member.deliveredCursor)"
        }
        return """
            \(self.head) \(self.revision) \(self.oldest) \(record.access) '\(record.title)' \(record.creator?.description ?? "-") \
            \(record.createdAt.milliseconds) \(record.updatedAt.milliseconds) \(record.endedAt?.milliseconds ?? 0)
            \(members.joined(separator: "\n"))
            """
    }
}

extension Page {
    public var text: String {
        """
        \(self.head) \(self.oldest) \(self.revision)
        \(self.messages.map(\.text).joined(separator: "\n"))
        amended
        \(self.amended.map(\.text).joined(separator: "\n"))
        """
    }
}

extension Message {
    public var text: String {
        let body = self.body
        return """
            \(self.sequence) r\(self.revision) \(self.state) \(self.sentAt.milliseconds) \(body.author.id)/\(body.author.name)/\
            \(body.author.agent?.string ?? "-") \(body.clientID?.text.string ?? "-") '\(body.content)' \(body.metadata?.description ?? "-")
            """
    }
}
