internal import CSQLite
import ChatModel

/// Answers read requests on a connection of its own, concurrently with the writer.
final class SQLiteReader {
    private let conversations: ConversationRows
    let members: MemberRows
    private let messages: MessageRows
    private let messageIndex: MessageIndexRows
    private let amendments: AmendmentRows
    private let deletions: DeletionRows
    let lists: ListRows
    private let numbers: NumberRows
    private let lastPosition: SQLiteStatement
    private let begin: SQLiteStatement
    private let end: SQLiteStatement
    private let unindexed: UnindexedMessages
    private let options: SQLiteOptions

    init(connection: SQLiteConnection, unindexed fresh: UnindexedMessages, options: SQLiteOptions)
        throws(SQLiteFailure)
    {
        self.unindexed = fresh
        self.options = options
        self.conversations = try ConversationRows(connection, access: .readOnly)
        self.members = try MemberRows(connection, access: .readOnly)
        self.messages = try MessageRows(connection, access: .readOnly)
        self.messageIndex = try MessageIndexRows(connection, access: .readOnly)
        self.amendments = try AmendmentRows(connection, access: .readOnly)
        self.deletions = try DeletionRows(connection, access: .readOnly)
        self.lists = try ListRows(connection)
        self.numbers = try NumberRows(connection, access: .readOnly)
        self.lastPosition = try connection.prepare("SELECT max(position) FROM messages")
        self.begin = try connection.prepare("BEGIN")
        self.end = try connection.prepare("ROLLBACK")
    }

    func answer(_ request: StoreRequest) throws(StorageFault) -> StoreAnswer {
        for _ in 0..<16 {
            let generation = self.unindexed.flushedGenerations
            let answer = self.answerInTransaction(request)
            // Otherwise entries moved from memory to the file during this read, and the read may
            // have missed them in both.
            if self.unindexed.flushedGenerations == generation { return try answer.get() }
        }
        throw .database(
            SQLiteFailure(code: SQLITE_BUSY, message: "the file changes faster than it is read"))
    }

    /// Answers from one consistent state of the file.
    private func answerInTransaction(_ request: StoreRequest) -> Result<StoreAnswer, StorageFault> {
        do {
            try self.begin.run()
        } catch {
            return .failure(error)
        }
        defer { try? self.end.run() }
        do {
            return .success(try self.read(request))
        } catch {
            return .failure(error)
        }
    }

    private func read(_ request: StoreRequest) throws(StorageFault) -> StoreAnswer {
        switch request {
        case .load(let key):
            guard let view = try self.snapshot(of: key) else { return .loaded(nil) }
            let members = try self.members.members(of: view.id)
            return .loaded(
                LoadedConversation(
                    record: view.record, head: view.head, revision: view.revision,
                    oldest: view.oldest, members: members))
        case .recent(let key, let limit):
            guard let view = try self.snapshot(of: key) else { return .recent([]) }
            return .recent(
                try self.messages(of: view, .newest, limit: limit).map(RecentMessage.init))
        case .page(let key, let range, let limit):
            guard let view = try self.snapshot(of: key) else { return .page(.empty) }
            return .page(view.page(try self.messages(of: view, range, limit: limit)))
        case .changes(let key, let after, let since, let limit):
            guard let view = try self.snapshot(of: key) else { return .page(.empty) }
            var page = view.page(try self.messages(of: view, .after(after), limit: limit))
            for sequence in try self.amendments.sequences(of: view.id, since: since).sorted()
            where sequence >= view.oldest && sequence <= min(after, view.head) {
                page.amended += try self.messages(of: view, .before(sequence + 1), limit: 1)
            }
            return .page(page)
        case .amended(let key, let through, let since, let limit):
            guard let view = try self.snapshot(of: key) else { return .page(.empty) }
            var page = view.page([])
            for sequence in try self.amendments.sequences(of: view.id, since: since)
            where sequence >= view.oldest && sequence <= min(through, view.head)
                && page.amended.count < limit
            {
                page.amended += try self.messages(of: view, .before(sequence + 1), limit: 1)
            }
            return .page(page)
        case .unread(let key, let after, let user):
            guard let view = try self.snapshot(of: key) else { return .unread(0) }
            return .unread(try self.unread(in: view, after: after, by: user))
        case .memberships(let user, let tenant, let after, let limit, let unreadLimit):
            return try self.memberships(
                of: user, in: tenant, after: after, limit: StoreRequest.clampedListLimit(limit),
                unreadLimit: unreadLimit)
        case .catalog(let tenant, let after, let limit):
            return .catalog(
                try self.catalog(
                    of: tenant, after: after, limit: StoreRequest.clampedListLimit(limit)))
        case .users(let numbers, let tenant):
            return try self.numbers.users(numbered: numbers, in: tenant)
        case .claim, .write, .numbers, .nextNumber, .probe:
            preconditionFailure("a write came to a reader")
        }
    }

    /// A conversation in one consistent state of the file.
    struct ConversationSnapshot {
        let id: Int
        var record: ConversationRecord
        var head: SequenceNumber
        var revision: Revision
        var oldest: SequenceNumber
        /// The last position of the log in this state. Memory can already hold later messages.
        let lastPosition: Int

        func page(_ messages: [Message]) -> MessagePage {
            MessagePage(
                messages: messages, head: self.head, oldest: self.oldest, revision: self.revision)
        }
    }

    func snapshot(of key: ConversationKey) throws(StorageFault) -> ConversationSnapshot? {
        guard let row = try self.conversations.conversation(key) else { return nil }
        defer { self.lastPosition.reset() }
        let last = try self.lastPosition.next() ? self.lastPosition.int(0) : 0
        var view = ConversationSnapshot(
            id: row.id, record: row.record, head: row.retainedFrom - 1, revision: row.revision,
            oldest: row.retainedFrom, lastPosition: last)
        var newest = self.unindexed.newest(of: row.id, upTo: last)
        if newest == nil { newest = try self.messageIndex.newest(of: row.id) }
        if let newest {
            let message = try self.messages.message(
                at: newest.position, of: row.id, sequence: newest.sequence)
            view.head = message.sequence
            if message.revision > row.revision {
                view.revision = message.revision
                view.record.updatedAt = message.sentAt
            }
        }
        view.oldest = self.options.oldest(retainedFrom: row.retainedFrom, head: view.head)
        return view
    }

    func messages(of view: ConversationSnapshot, _ range: PageRange, limit: Int)
        throws(StorageFault) -> [Message]
    {
        let window = range.window(oldest: view.oldest, head: view.head, limit: limit)
        guard !window.isEmpty else { return [] }
        let fresh = self.unindexed.entries(of: view.id, in: window, upTo: view.lastPosition)
        let settled = window.lowerBound..<(fresh.last?.sequence ?? window.upperBound)
        var messages: [Message] = []
        messages.reserveCapacity(window.count)
        var places = settled.isEmpty ? [] : try self.messageIndex.entries(of: view.id, in: settled)
        places += fresh.reversed()
        for place in places {
            let expected = window.lowerBound + messages.count
            guard place.sequence == expected else {
                throw .damaged("message \(expected) of conversation \(view.id) is missing")
            }
            messages.append(
                try self.messages.message(at: place.position, of: view.id, sequence: expected))
        }
        guard messages.count == window.count else {
            throw .damaged(
                "message \(window.lowerBound + messages.count) of conversation \(view.id) is missing"
            )
        }
        return messages
    }

    /// - Parameter limit: counting stops at this number.
    func unread(
        in view: ConversationSnapshot, after: SequenceNumber, by user: UserID, limit: Int = .max
    ) throws(StorageFault) -> Int {
        let window = PageRange.after(after).window(
            oldest: view.oldest, head: view.head, limit: .max)
        guard !window.isEmpty, limit > 0 else { return 0 }
        let mark = MessageRows.authorHash(of: user)
        let fresh = self.unindexed.entries(of: view.id, in: window, upTo: view.lastPosition)
        let settled = window.lowerBound..<(fresh.last?.sequence ?? window.upperBound)
        // The index includes deleted messages.
        let deleted = try self.deletions.count(of: view.id, in: window, notBy: user)
        let limit = limit > .max - deleted ? .max : limit + deleted
        var count = fresh.count { $0.authorHash != mark }
        if count < limit {
            count += try self.messageIndex.count(
                of: view.id, in: settled, notBy: mark, limit: limit - count)
        }
        return max(0, min(count, limit) - deleted)
    }
}
