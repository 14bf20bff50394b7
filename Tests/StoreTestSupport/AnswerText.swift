import Bytes
public import ChatModel

extension StoreAnswer {
    /// The complete content of an answer: two answers are equal if their texts are.
    ///
    /// Failures differ between stores, so all failures have the same text.
    public var text: String {
        switch self {
        case .claimed(let epoch): "claimed \(epoch)"
        case .outdated(let view): "outdated by \(view)"
        case .loaded(nil): "no conversation"
        case .loaded(let loaded?): loaded.text
        case .recent(let messages):
            messages.map {
                """
                \($0.sequence) \($0.author) \($0.clientMessageID?.text.string ?? "-") \
                \($0.sentAt.milliseconds)
                """
            }.joined(
                separator: "\n")
        case .written(.stored): "stored"
        case .written(.refused(let places)):
            places.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(
                separator: ", ")
        case .page(let page): page.text
        case .found(let page):
            "found \(page.messages.map(\.text)) next \(page.next.map { "\($0)" } ?? "-")"
        case .searchRefused(let refusal): "refused: \(refusal)"
        case .cannotSearch: "cannot search"
        case .unread(let count): "unread \(count)"
        case .memberships(let page): page.text
        case .catalog(let page): page.text
        case .numbers(let numbers): "numbers \(numbers)"
        case .users(let users): "users \(users.map { $0?.description ?? "-" })"
        case .number(let number): "number \(number)"
        case .bans(let bans, let damaged):
            bans.map(\.text).sorted().joined(separator: "\n") + "\n\(damaged.count) damaged"
        case .unbanned(let existed): "unbanned \(existed)"
        case .conversations(let page):
            "conversations \(page.keys.map(\.description)) \(page.next?.description ?? "-")"
        case .examined(let faults):
            "repairable \(faults.repairable), unrepairable \(faults.unrepairable)"
        case .outbox(let answer): "outbox \(answer)"
        case .done: "done"
        case .failed: "failed"
        }
    }
}

extension Ban {
    public var text: String {
        """
        \(self.subject.tenant)/\(self.subject.user)/\(self.subject.conversation?.string ?? "*") \
        \(self.since.milliseconds)-\(self.until?.milliseconds ?? 0) '\(self.reason)' by \
        \(self.operatorName)
        """
    }
}

extension LoadedConversation {
    /// Everything except the order of the members.
    public var text: String {
        let members = self.members.sorted { $0.user < $1.user }.map(\.text)
        return
            """
            \(self.head) \(self.revision) \(self.oldest) \(self.record.text)
            \(members.joined(separator: "\n"))
            pins
            \(self.pins.map(\.text).joined(separator: "\n"))
            """
    }
}

extension ConversationRecord {
    public var text: String {
        """
        \(self.joinPolicy) \(self.pinPolicy) \(self.origin)\(self.isListed ? " listed" : "") \
        '\(self.title)' \
        '\(self.dialectData)' \(self.creator?.description ?? "-") \(self.createdAt.milliseconds) \
        \(self.updatedAt.milliseconds) \(self.endedAt?.milliseconds ?? 0)
        """
    }
}

extension Member {
    public var text: String {
        """
        \(self.user) \(self.name) \(self.agent?.string ?? "-") \(self.role) \
        \(self.joinedAt.milliseconds) \(self.readCursor) \(self.deliveredCursor)
        """
    }
}

extension MembershipPage {
    /// Everything except the order and the cursor, in which stores differ.
    public var text: String {
        self.memberships.sorted { $0.key < $1.key }.map { membership in
            """
            \(membership.key) \(membership.record.text) \(membership.head) \
            \(membership.member.text) \(membership.lastMessage?.text ?? "-") \
            unread \(membership.unreadCount), mentions \(membership.unreadMentionCount)
            """
        }.joined(separator: "\n") + "\n\(self.damaged)"
    }
}

extension CatalogPage {
    /// Everything except the cursor: a store may have to read further to know whether it needs one.
    public var text: String {
        self.entries.map { "\($0.key) \($0.record.text) \($0.head)" }.joined(separator: "\n")
            + "\n\(self.damaged)"
    }
}

extension MessagePage {
    public var text: String {
        """
        \(self.head) \(self.oldest) \(self.revision)\(self.hasMore ? " and more" : "")
        \(self.messages.map(\.text).joined(separator: "\n"))
        amended
        \(self.amended.map(\.text).joined(separator: "\n"))
        reply targets
        \(self.replyTargets.sorted { $0.sequence < $1.sequence }.map(\.text).joined(
            separator: "\n"))
        threads
        \(self.threads.sorted { $0.key < $1.key }.map {
            "\($0.key): \($0.value.replyCount) to \($0.value.lastReply)"
        }.joined(separator: "\n"))
        """
    }
}

extension Message {
    public var text: String {
        let body = self.body
        return """
            \(self.sequence) r\(self.revision) \(self.state) \(self.sentAt.milliseconds) \
            \(body.author.id)/\(body.author.name)/\(body.author.agent?.string ?? "-") \
            \(body.clientMessageID?.text.string ?? "-") '\(body.content)' \
            \(body.metadata?.description ?? "-") \(body.annotations?.text ?? "-")
            """
    }
}

extension MessageAnnotations {
    /// Everything that a store keeps.
    public var text: String {
        let mentions = self.mentions.map {
            "\($0.includesEveryone ? "all " : "")\($0.users) without \($0.nonMembers)"
        }
        let reactions = self.reactions?.groups.map { "\($0.emoji) \($0.users)" }
        let pin = self.pin.map {
            """
            \($0.isPinned ? "pinned" : "unpinned") by \($0.by.id)/\($0.by.name)/\
            \($0.by.agent?.string ?? "-") at \($0.at.milliseconds)
            """
        }
        return """
            {reply \(self.reply.map { "to \($0.to) in \($0.thread)" } ?? "-"), \
            mentions \(mentions ?? "-"), reactions \(reactions?.description ?? "-"), \
            \(pin ?? "-")}
            """
    }
}
