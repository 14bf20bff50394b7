import ChatModel

/// The stored state of one conversation.
struct StoreFixture {
    var record: ConversationRecord?
    /// With the former members that the conversation remembers.
    var allMembers: [Member] = []
    var members: [Member] { self.allMembers.filter(\.role.isMember) }
    var messages: [Message] = []
    var pins: [Message] = []
    var revision: Revision = 0
    /// The oldest message that is kept.
    var oldest: SequenceNumber = 1

    mutating func write(_ change: Write.Change, _ revision: Revision) {
        if revision != 0 {
            precondition(
                revision == self.revision + 1, "revision \(revision) after \(self.revision)")
            self.revision = revision
        }
        switch change {
        case .create(let record): self.record = record
        case .message(let message):
            precondition(
                message.sequence == self.messages.count + 1,
                "message \(message.sequence) after \(self.messages.count)")
            self.messages.append(message)
            self.record?.updatedAt = message.sentAt
        case .amend(let message, _, let time):
            self.messages[message.sequence - 1] = message
            if let time { self.record?.updatedAt = time }
            self.pins.removeAll { $0.sequence == message.sequence }
            if message.isPinned { self.pins = (self.pins + [message]).sortedByPin() }
        case .member(let member):
            if let place = self.allMembers.firstIndex(where: { $0.user == member.user }) {
                self.allMembers[place] = member
            } else {
                self.allMembers.append(member)
            }
        case .remove(let user): self.allMembers.removeAll { $0.user == user }
        case .cursors(let user, let read, let delivered):
            for place in self.allMembers.indices where self.allMembers[place].user == user {
                self.allMembers[place].readCursor = read
                self.allMembers[place].deliveredCursor = delivered
            }
        case .end(let time):
            self.record?.endedAt = time
            self.record?.updatedAt = time
        case .update(let record): self.record?.takeProperties(of: record)
        case .skip: break
        }
    }

    func message(_ sequence: SequenceNumber) -> Message? {
        sequence >= self.oldest && sequence <= self.messages.count
            ? self.messages[sequence - 1] : nil
    }

    func hasReplies(inThread root: SequenceNumber) -> Bool {
        self.messages.dropFirst(self.oldest - 1).contains {
            $0.body.annotations?.reply?.thread == root
        }
    }

    func page(after sequence: SequenceNumber, limit: Int) -> MessagePage {
        let messages = self.messages.filter { $0.sequence > sequence && $0.sequence >= self.oldest }
            .prefix(limit)
        return MessagePage(
            messages: Array(messages), head: self.messages.count, oldest: self.oldest,
            revision: self.revision)
    }

    var loaded: LoadedConversation? {
        self.record.map {
            LoadedConversation(
                record: $0, head: self.messages.count, revision: self.revision, oldest: self.oldest,
                members: self.allMembers, pins: self.pins)
        }
    }

    /// The messages are lost, but no other state.
    var losesRecents = false

    var recent: [RecentMessage] {
        self.losesRecents
            ? []
            : self.messages.dropFirst(self.oldest - 1).map {
                RecentMessage(
                    sequence: $0.sequence, author: $0.body.author.id,
                    clientMessageID: $0.body.clientMessageID, sentAt: $0.sentAt)
            }
    }
}
