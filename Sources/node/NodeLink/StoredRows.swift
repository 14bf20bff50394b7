public import Bytes
public import ChatModel
public import JSON

// Stored data in the documents for operators. A node that reads its store and `--via`, which reads
// Redis without a node, use the same rows.

extension ConversationRecord {
    /// The stored properties, as members of the document of `confab conversation`. The title is the
    /// creator's, and not a message.
    public var tree: JSONTree {
        [
            "kind": .string(self.origin.string),
            "join_policy": .string(self.joinPolicy == .open ? "open" : "closed"),
            "pin_policy": .string(self.pinPolicy == .creator ? "creator" : "members"),
            "listed": .bool(self.isListed), "title": .string(self.title),
            "creator": self.creator.map { .string($0.displayID.string) } ?? .null,
            "created": .string(self.createdAt.text),
            "ended": self.endedAt.map { .string($0.text) } ?? .null,
        ]
    }
}

extension UserID {
    /// The key that distinguishes a guest from others of its id; `null` for other users.
    public var guestKeyTree: JSONTree { self.guestKey.map { .string($0.string) } ?? .null }
}

extension Message {
    /// The message in the document of `confab history`.
    public var tree: JSONTree {
        let annotations = self.body.annotations
        let reactions = annotations?.reactions?.groups ?? []
        return [
            "id": .string(String(self.sequence)),
            "sender_id": .string(self.body.author.id.displayID.string),
            "guest_key": self.body.author.id.guestKeyTree,
            "content": .string(self.body.content), "timestamp": .string(self.sentAt.text),
            "is_edited": .bool(self.state == .edited), "is_deleted": .bool(self.state == .deleted),
            "reply_to": annotations?.reply.map { .string(String($0.to)) } ?? .null,
            "thread": annotations?.reply.map { .string(String($0.thread)) } ?? .null,
            "reactions": .array(
                reactions.map { .string("\($0.emoji.text) \($0.users.count)") }),
            "is_pinned": .bool(self.isPinned), "revision": .integer(self.revision),
            "local_id": self.body.clientMessageID?.displayID.map { .string($0.string) } ?? .null,
        ]
    }
}

extension Member {
    /// The member's row in the document of `confab conversation`.
    ///
    /// - Parameter nodes: the nodes on which the member is present; nil if unknown.
    public func tree(nodes: [String]?) -> JSONTree {
        [
            "user": .string(self.user.displayID.string), "guest_key": self.user.guestKeyTree,
            "name": .string(self.name.string),
            "agent": self.agent.map { .string($0.string) } ?? .null,
            "role": .string(self.role.text), "joined": .string(self.joinedAt.text),
            "read_cursor": .integer(self.readCursor),
            "delivered_cursor": .integer(self.deliveredCursor),
            "nodes": nodes.map { .array($0.map { .string($0) }) } ?? .null,
        ]
    }
}

extension Member.Role {
    fileprivate var text: String {
        switch self {
        case .member: "member"
        case .creator: "creator"
        case .admin: "admin"
        case .removed: "removed"
        case .departed: "departed"
        }
    }
}

extension ListedMembership {
    /// The conversation's row in the document of `confab user`.
    public var tree: JSONTree {
        [
            "conversation": .string(self.key.id.string),
            "kind": .string(self.record.origin.string),
            "role": .string(self.member.role.text),
            "head": .integer(self.head),
            "read_cursor": .integer(self.member.readCursor),
            "delivered_cursor": .integer(self.member.deliveredCursor),
            "unread": .integer(self.unreadCount),
            "updated": .string(self.record.updatedAt.text),
        ]
    }
}

extension Ban {
    /// The members of the ban's row in `confab bans`.
    public var row: [JSONTree.ObjectMember] {
        [
            .init("tenant", .string(self.subject.tenant.string)),
            .init("user", .string(self.subject.user.string)),
            .init("conversation", self.subject.conversation.map { .string($0.string) } ?? .null),
            .init("until", self.until.map { .string($0.text) } ?? .null),
            .init("reason", .string(self.reason)), .init("operator", .string(self.operatorName)),
            .init("since", .string(self.since.text)),
        ]
    }

    /// The rows of the active bans of some users or conversations, the newest first.
    ///
    /// - Parameter now: the time at which they are active.
    public static func rows(
        of bans: [Ban], at now: Timestamp, where concerns: (Subject) -> Bool
    ) -> [JSONTree] {
        bans.filter { $0.isActive(at: now) && concerns($0.subject) }.sorted { $0.since > $1.since }
            .map { .object($0.row) }
    }
}
