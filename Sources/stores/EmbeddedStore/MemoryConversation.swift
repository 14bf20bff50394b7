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
    /// Copies of the pinned messages.
    private var pins: [SequenceNumber: Message] = [:]
    /// The retained replies of each thread, in ascending order.
    private var replies: [SequenceNumber: [SequenceNumber]] = [:]
    /// Amendments in ascending order of revision. An entry is stale if its message was
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
            members: self.members.values.sorted { $0.user < $1.user },
            pins: self.pinnedMessages)
    }

    /// Oldest pin first.
    var pinnedMessages: [Message] { Array(self.pins.values).sortedByPin() }

    /// The conversation's entry in a member's list; nil if the user is not a member.
    func membership(of user: UserID, unreadLimit: Int) -> ListedMembership? {
        guard let member = self.members[user], member.role.isMember else { return nil }
        return ListedMembership(
            key: self.key, record: self.loadedRecord, head: self.head, member: member,
            lastMessage: self.messages.count > 0 ? self.messages[self.messages.count - 1] : nil,
            unreadCount: self.unread(after: member.readCursor, by: user, limit: unreadLimit),
            unreadMentionCount: self.unreadMentions(of: member, limit: unreadLimit))
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
            // At the history limit, each message replaces one, which may be a reply.
            if !self.replies.isEmpty, history > 0, self.messages.count >= history {
                self.forgetReply(self.messages[0])
            }
            self.messages.append(message, capacity: history)
            self.head = message.sequence
            self.revision = write.revision
            self.updatedAt = message.sentAt
            if let annotations = message.body.annotations { self.record(annotations, of: message) }
        default:
            self.applyNonMessage(write)
        }
    }

    private mutating func applyNonMessage(_ write: Write) {
        switch write.change {
        case .message, .create:
            preconditionFailure("applyNonMessage called with a message or a creation")
        case .amend(let message, _, let time):
            self.amend(message, revision: write.revision)
            if let time { self.updatedAt = time }
        case .member(var member):
            if let existing = self.members[member.user] {
                member.readCursor = max(member.readCursor, existing.readCursor)
                member.deliveredCursor = max(member.deliveredCursor, existing.deliveredCursor)
            }
            self.members[member.user] = member
        case .remove(let user):
            self.members[user] = nil
        case .update(let record):
            self.record.takeProperties(of: record)
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

    private mutating func record(_ annotations: MessageAnnotations, of message: Message) {
        if let reply = annotations.reply {
            self.replies[reply.thread, default: []].append(message.sequence)
        }
        if message.isPinned { self.pins[message.sequence] = message }
    }

    private mutating func forgetReply(_ message: Message) {
        guard let thread = message.body.annotations?.reply?.thread,
            self.replies[thread]?.first == message.sequence
        else { return }
        self.replies[thread]?.removeFirst()
        if self.replies[thread]?.isEmpty == true { self.replies[thread] = nil }
    }

    private mutating func amend(_ message: Message, revision: Revision) {
        guard message.sequence >= self.oldest else {
            var message = message
            message.revision = revision
            let amended =
                self.pins[message.sequence]?.amended(as: message, revision: revision) ?? message
            return self.pins[message.sequence] = amended.isPinned ? amended : nil
        }
        let index = message.sequence - self.oldest
        let stored = self.messages[index]
        guard stored.state != .deleted else { return }
        let amended = stored.amended(as: message, revision: revision)
        self.messages[index] = amended
        self.pins[message.sequence] = amended.isPinned ? amended : nil
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

    func page(_ range: PageRange, limit: PageLimit) -> MessagePage {
        let window = range.window(oldest: self.oldest, head: self.head, limit: limit.messages)
        var page = MessagePage(
            messages: [], head: self.head, oldest: self.oldest, revision: self.revision)
        page.messages =
            limit.page(of: window, isForward: range.isForward) {
                self.messages[$0 - self.oldest]
            }.messages
        page.setHasMore(of: range)
        return page
    }

    /// A page with what its messages refer to.
    func annotatedPage(_ range: PageRange, limit: PageLimit) -> MessagePage {
        var page = self.page(range, limit: limit)
        self.addReferences(to: &page)
        return page
    }

    /// A page of a thread. The root may have left the history.
    func thread(_ root: SequenceNumber, _ range: PageRange, limit: PageLimit) -> MessagePage {
        var page = self.page(.newest, limit: 0)
        let roots = (self.oldest..<self.head + 1).contains(root) ? [root] : []
        let numbers = range.numbers(of: roots + (self.replies[root] ?? []))
        (page.messages, page.hasMore) = limit.page(of: numbers, isForward: range.isForward) {
            self.messages[$0 - self.oldest]
        }
        self.addReferences(to: &page)
        return page
    }

    private func addReferences(to page: inout MessagePage) {
        if !self.replies.isEmpty {
            for message in page.messages {
                guard let replies = self.replies[message.sequence], let last = replies.last else {
                    continue
                }
                page.threads[message.sequence] = ThreadSummary(
                    replyCount: replies.count, lastReply: last)
            }
        }
        page.replyTargets = page.missingReplyTargets.map { self.messages[$0 - self.oldest] }
    }

    func changes(after: SequenceNumber, since: Revision, limit: Int) -> MessagePage {
        var page = self.page(.after(after), limit: PageLimit(messages: limit))
        page.amended = self.amendedMessages(through: after, since: since)
        return page
    }

    func amended(through: SequenceNumber, since: Revision, limit: PageLimit) -> MessagePage {
        var page = self.page(.newest, limit: 0)
        (page.amended, page.hasMore) = limit.page(
            of: self.amendedMessages(through: through, since: since), isForward: true
        ) { $0 }
        return page
    }

    /// The messages that were amended since a revision, in the order of their last changes.
    private func amendedMessages(through: SequenceNumber, since: Revision) -> [Message] {
        let count = self.amendments.reversed().prefix { $0.revision > since }.count
        return self.amendments.suffix(count)
            .filter { $0.sequence <= through && self.isCurrent($0) }
            .map { self.messages[$0.sequence - self.oldest] }
    }

    func recent(limit: Int) -> [RecentMessage] {
        PageRange.newest.window(oldest: self.oldest, head: self.head, limit: limit).map {
            RecentMessage(self.messages[$0 - self.oldest])
        }
    }

    /// - Parameter limit: counting stops at this number.
    func unread(after: SequenceNumber, by user: UserID, limit: Int = .max) -> Int {
        self.unreadMessages(after: after, by: user).prefix(max(0, limit)).count { _ in true }
    }

    private func unreadMentions(of member: Member, limit: Int) -> Int {
        self.unreadMessages(after: member.readCursor, by: member.user).prefix(max(0, limit))
            .count { $0.mentions(member.user) }
    }

    private func unreadMessages(after: SequenceNumber, by user: UserID) -> some Sequence<Message> {
        PageRange.after(after).window(oldest: self.oldest, head: self.head, limit: .max).lazy
            .map { self.messages[$0 - self.oldest] }
            .filter { $0.state != .deleted && $0.body.author.id != user }
    }
}

extension RecentMessage {
    init(_ message: Message) {
        self.init(
            sequence: message.sequence, author: message.body.author.id,
            clientMessageID: message.body.clientMessageID, sentAt: message.sentAt)
    }
}
