import Bytes
import JSON

/// The fields of message features, which all protocols write alike.
extension ChatMessage {
    mutating func readFeatures(_ tree: JSONTree) {
        self.guestKey = tree["guest_key"]?.stringValue
        self.replyTo = tree["reply_to"]?.messageID
        self.thread = tree["thread"]?.messageID
        self.replyExcerpt = tree["reply_excerpt"].flatMap(MessageExcerpt.init)
        self.mentioned = MentionedUsers(json: tree["mentions"])
        self.notMembers = (tree["not_members"]?.elements ?? []).compactMap(\.stringValue)
        self.reactions = tree["reactions"]?.reactions ?? []
        self.replies = tree["replies"]?.integerValue ?? 0
        self.lastReplyID = tree["last_reply_id"]?.messageID
        self.pinned = tree["pinned"].flatMap(MessagePin.init)
        self.wasChanged = tree["reactions"] != nil || tree["pinned"] != nil
    }
}

extension MessageExcerpt {
    fileprivate init?(_ tree: JSONTree) {
        guard let id = tree["id"]?.messageID, let author = tree["sender_id"]?.stringValue else {
            return nil
        }
        self.init(
            id: id, author: author, displayName: tree["username"]?.stringValue ?? author,
            text: tree["content"]?.stringValue ?? "")
    }
}

extension MessagePin {
    fileprivate init?(_ tree: JSONTree) {
        guard let user = tree["by"]?.stringValue else { return nil }
        self.init(
            by: user, byName: tree["username"]?.stringValue ?? user,
            at: tree["at"]?.stringValue.flatMap { Timestamp(rfc3339: $0) })
    }
}

extension MentionedUsers {
    init(json tree: JSONTree?) {
        self =
            tree?.stringValue == "all"
            ? .all : .users((tree?.elements ?? []).compactMap(\.stringValue))
    }

    /// Nil if no user is mentioned.
    var json: JSONTree? {
        switch self {
        case .all: "all"
        case .users(let users): users.isEmpty ? nil : .array(users.map { .string($0) })
        }
    }
}

extension PendingMessage {
    /// The fields of a send, where the message has them.
    var featureFields: [JSONTree.ObjectMember] {
        var fields: [JSONTree.ObjectMember] = []
        if let replyTo = self.replyTo { fields.append(.init("reply_to", .string(String(replyTo)))) }
        if let mentions = self.mentioned.json { fields.append(.init("mentions", mentions)) }
        return fields
    }
}

extension JSONTree {
    /// The event of a conversation whose title, access or listing was changed.
    ///
    /// - Parameter user: who has changed it.
    func updatedEvent(by user: String?) -> ServerEvent? {
        guard let record = self["conversation"], let access = record["access"]?.stringValue,
            let user
        else { return nil }
        let properties = ChangedConversation(
            title: record["title"]?.stringValue ?? "", isClosed: access == "closed",
            isListed: record["listed"]?.boolValue ?? false)
        return .conversationUpdated(properties, by: user)
    }

    /// Reactions; a group without an emoji is left out.
    var reactions: [MessageReaction] {
        (self.elements ?? []).compactMap { group in
            guard let emoji = group["emoji"]?.stringValue, let count = group["count"]?.integerValue
            else { return nil }
            return MessageReaction(
                emoji, count: count,
                users: (group["users"]?.elements ?? []).compactMap(\.stringValue),
                isMine: group["mine"]?.boolValue ?? false)
        }
    }

    /// The event of reactions; nil if it names no message.
    var reactionsEvent: ServerEvent? {
        guard let id = self["message_id"]?.messageID, let groups = self["reactions"] else {
            return nil
        }
        return .reactions(id: id, rev: self["rev"]?.integerValue ?? 0, groups.reactions)
    }

    /// What a search has found, apart from the messages.
    func found(_ messages: [ChatMessage]) -> FoundMessages {
        FoundMessages(
            messages: messages, nextBefore: self["next_before_id"]?.messageID,
            isIncomplete: self["incomplete"]?.boolValue ?? false)
    }
}
