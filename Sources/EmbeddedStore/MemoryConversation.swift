import Bytes
import ChatModel

/// One conversation of an in-memory store. The fields that an append uses come first, so that they
/// share cache lines.
struct MemoryConversation {
    let key: ConversationKey
    private(set) var revision: Revision
    private(set) var head: SequenceNumber = 0
    private var messages = MessageRing()
    private var updatedAt: Timestamp
    /// The size of the fields above.
    static var hotBytes: Int { MemoryLayout<Self>.offset(of: \.record)! }

    /// The record, except for `updatedAt`, which is stored above.
    private(set) var record: ConversationRecord
    private var members: [UserID: Member] = [:]
    /// Edits and deletions in ascending order of revision. An entry is stale if its message was
    /// amended again or trimmed.
    private var amendments: [AmendmentEntry] = []

    private struct AmendmentEntry {
        let revision: Revision
        let sequence: SequenceNumber
    }

    init(key: ConversationKey, record: ConversationRecord) {
        self.key = key
        self.revision = 1
        self.record = record
        self.updatedAt = record.updatedAt
    }

    /// Prefetches the memory that appending the next message will use. Mutating, so that the call
    /// makes no copy.
    mutating func prefetch(history: Int) {
        self.messages.prefetch(self.head, capacity: history)
    }

    var oldest: SequenceNumber { self.head - self.messages.count + 1 }

    private var loadedRecord: ConversationRecord {
        var record = self.record
        record.updatedAt = self.updatedAt
        return record
    }

    var loaded: LoadedConversation {
        LoadedConversation(
            record: self.loadedRecord, head: self.head, revision: self.revision,
            oldest: self.oldest,
            // Sorted by id: the order of a dictionary differs between runs, and simulations must be
            // reproducible.
            members: self.members.values.sorted { $0.user < $1.user })
    }

    /// The conversation's entry in a member's list; nil if the user is not a member.
    func membership(of user: UserID, unreadLimit: Int) -> ListedMembership? {
        guard let member = self.members[user] else { return nil }
        return ListedMembership(
            key: self.key, record: self.loadedRecord, head: self.head, member: member,
            lastMessage: self.messages.count > 0 ? self.messages[self.messages.count - 1] : nil,
            unreadCount: self.unread(after: member.readCursor, by: user, limit: unreadLimit))
    }

    var catalogEntry: CatalogEntry {
        CatalogEntry(key: self.key, record: self.loadedRecord, head: self.head)
    }

    /// Applies a write whose revision and sequence number have been checked.
    @inline(__always)
    mutating func apply(_ write: Write, history: Int) {
        switch write.change {
        case .message(var message):
            message.revision = write.revision
            self.messages.append(message, capacity: history)
            self.head = message.sequence
            self.revision = write.revision
            self.updatedAt = message.sentAt
        default:
            self.applyNonMessage(write)
        }
    }

    private mutating func applyNonMessage(_ write: Write) {
        switch write.change {
        case .message, .create:
            preconditionFailure("applyNonMessage called with a message or a creation")
        case .amend(let message, let time):
            self.amend(message, revision: write.revision)
            self.updatedAt = time
        case .member(var member):
            if let existing = self.members[member.user] {
                member.readCursor = max(member.readCursor, existing.readCursor)
                member.deliveredCursor = max(member.deliveredCursor, existing.deliveredCursor)
            }
            self.members[member.user] = member
        case .remove(let user):
            self.members[user] = nil
        case .skip:
            break
        case .end(let time):
            if self.record.endedAt == nil { self.record.endedAt = time }
            self.updatedAt = time
        case .cursors(let user, let read, let delivered):
            guard var member = self.members[user] else { return }
            member.readCursor = max(member.readCursor, read)
            member.deliveredCursor = max(member.deliveredCursor, delivered)
            self.members[user] = member
            return
        }
        self.revision = write.revision
    }

    private mutating func amend(_ message: Message, revision: Revision) {
        guard message.sequence >= self.oldest else { return }
        let index = message.sequence - self.oldest
        let stored = self.messages[index]
        guard stored.state != .deleted else { return }
        self.messages[index] = stored.amended(as: message, revision: revision)
        self.amendments.append(AmendmentEntry(revision: revision, sequence: message.sequence))
        // Bounds the stale entries to the number of messages.
        if self.amendments.count > 2 * self.messages.count {
            self.amendments = self.amendments.filter(self.isCurrent)
        }
    }

    private func isCurrent(_ amendment: AmendmentEntry) -> Bool {
        amendment.sequence >= self.oldest
            && self.messages[amendment.sequence - self.oldest].revision == amendment.revision
    }

    func page(_ range: PageRange, limit: Int) -> MessagePage {
        let window = range.window(oldest: self.oldest, head: self.head, limit: limit)
        let messages = window.map { self.messages[$0 - self.oldest] }
        return MessagePage(
            messages: messages, head: self.head, oldest: self.oldest, revision: self.revision)
    }

    func changes(after: SequenceNumber, since: Revision, limit: Int) -> MessagePage {
        var page = self.page(.after(after), limit: limit)
        page.amended = self.amendments.reversed().prefix { $0.revision > since }
            .filter { $0.sequence <= after && self.isCurrent($0) }
            .map { self.messages[$0.sequence - self.oldest] }
            .sorted { $0.sequence < $1.sequence }
        return page
    }

    func amended(through: SequenceNumber, since: Revision, limit: Int) -> MessagePage {
        var page = self.page(.newest, limit: 0)
        let amendments = self.amendments.lazy.drop { $0.revision <= since }.filter {
            $0.sequence <= through && self.isCurrent($0)
        }
        page.amended = Array(
            amendments.prefix(max(0, limit)).map { self.messages[$0.sequence - self.oldest] })
        return page
    }

    func recent(limit: Int) -> [RecentMessage] {
        PageRange.newest.window(oldest: self.oldest, head: self.head, limit: limit).map {
            RecentMessage(self.messages[$0 - self.oldest])
        }
    }

    /// - Parameter limit: counting stops at this number.
    func unread(after: SequenceNumber, by user: UserID, limit: Int = .max) -> Int {
        PageRange.after(after).window(oldest: self.oldest, head: self.head, limit: .max).lazy
            .filter {
                self.messages[$0 - self.oldest].state != .deleted
                    && self.messages[$0 - self.oldest].body.author.id != user
            }
            .prefix(max(0, limit)).count
    }
}

extension RecentMessage {
    init(_ message: Message) {
        self.init(
            sequence: message.sequence, author: message.body.author.id,
            clientMessageID: message.body.clientMessageID, sentAt: message.sentAt)
    }
}
