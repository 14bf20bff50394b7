internal import CSQLite
import ChatModel

/// Answers read requests on a connection of its own, concurrently with the writer.
final class SQLiteReader {
    private let conversations: ConversationRows
    let members: MemberRows
    let messages: MessageRows
    private let messageIndex: MessageIndexRows
    private let amendments: AmendmentRows
    private let deletions: DeletionRows
    let replies: ReplyRows
    let mentions: MentionRows
    let pins: PinRows
    let lists: ListRows
    private let numbers: NumberRows
    private let bans: BanRows
    private let keys: ConversationKeyRows
    private let log: ConversationLogRows
    private let lastPosition: SQLiteStatement
    private let begin: SQLiteStatement
    private let end: SQLiteStatement
    let connection: SQLiteConnection
    let settings: SettingRows
    let searchReports: SearchIndexReports
    private let unindexed: UnindexedMessages
    private let options: SQLiteOptions
    private let path: String

    init(
        connection: SQLiteConnection, unindexed: UnindexedMessages,
        searchReports: SearchIndexReports, options: SQLiteOptions, path: String
    ) throws(SQLiteFailure) {
        self.connection = connection
        self.searchReports = searchReports
        self.settings = try SettingRows(connection)
        self.path = path
        self.unindexed = unindexed
        self.options = options
        self.conversations = try ConversationRows(connection)
        self.members = try MemberRows(connection)
        self.messages = try MessageRows(connection)
        self.messageIndex = try MessageIndexRows(connection)
        self.amendments = try AmendmentRows(connection)
        self.deletions = try DeletionRows(connection)
        self.replies = try ReplyRows(connection)
        self.mentions = try MentionRows(connection)
        self.pins = try PinRows(connection)
        self.lists = try ListRows(connection)
        self.numbers = try NumberRows(connection)
        self.bans = try BanRows(connection)
        self.keys = try ConversationKeyRows(connection)
        self.log = try ConversationLogRows(connection, self.messages)
        self.lastPosition = try connection.prepare("SELECT max(position) FROM messages")
        self.begin = try connection.prepare("BEGIN")
        self.end = try connection.prepare("ROLLBACK")
    }

    func answer(_ request: StoreRequest) throws(StorageFault) -> StoreAnswer {
        try self.readConsistently { () throws(StorageFault) in try self.read(request) }
    }

    /// Reads from one consistent state of the file and of the messages in memory. May read several
    /// times.
    func readConsistently<Value>(_ read: () throws(StorageFault) -> Value) throws(StorageFault)
        -> Value
    {
        for _ in 0..<16 {
            let generation = self.unindexed.flushedGenerations
            let result = self.inTransaction(read)
            // Otherwise entries moved from memory to the file during this read, and the read may
            // have missed them in both.
            if self.unindexed.flushedGenerations == generation { return try result.get() }
        }
        throw .database(
            SQLiteFailure(code: SQLITE_BUSY, message: "the file changes faster than it is read"))
    }

    private func inTransaction<Value>(_ read: () throws(StorageFault) -> Value)
        -> Result<Value, StorageFault>
    {
        do throws(StorageFault) {
            try self.begin.run()
        } catch {
            return .failure(error)
        }
        defer { try? self.end.run() }
        do throws(StorageFault) {
            return .success(try read())
        } catch {
            return .failure(error)
        }
    }

    private func read(_ request: StoreRequest) throws(StorageFault) -> StoreAnswer {
        switch request {
        case .load(let key):
            guard let snapshot = try self.snapshot(of: key) else { return .loaded(nil) }
            let members = try self.members.members(of: snapshot.id)
            return .loaded(
                LoadedConversation(
                    record: snapshot.record, head: snapshot.head, revision: snapshot.revision,
                    oldest: snapshot.oldest, members: members,
                    pins: try self.pins.messages(of: snapshot.id)))
        case .recent(let key, let limit):
            guard let snapshot = try self.snapshot(of: key) else { return .recent([]) }
            return .recent(
                try self.messages(of: snapshot, .newest, limit: PageLimit(messages: limit))
                    .map(RecentMessage.init))
        case .page(let key, let range, let limit):
            guard let snapshot = try self.snapshot(of: key) else { return .page(.empty) }
            return .page(try self.page(of: snapshot, range, limit: limit))
        case .thread(let key, let root, let range, let limit):
            guard let snapshot = try self.snapshot(of: key) else { return .page(.empty) }
            return .page(try self.thread(root, of: snapshot, range, limit: limit))
        case .changes(let key, let after, let since, let limit):
            guard let snapshot = try self.snapshot(of: key) else { return .page(.empty) }
            var page = snapshot.page(
                try self.messages(of: snapshot, .after(after), limit: PageLimit(messages: limit)))
            page.amended = try self.amended(
                in: snapshot, through: after, since: since, limit: PageLimit(messages: .max)
            ).messages
            page.setHasMore(of: .after(after))
            return .page(page)
        case .amended(let key, let through, let since, let limit):
            guard let snapshot = try self.snapshot(of: key) else { return .page(.empty) }
            var page = snapshot.page([])
            (page.amended, page.hasMore) = try self.amended(
                in: snapshot, through: through, since: since, limit: limit)
            return .page(page)
        case .unread(let key, let after, let user):
            guard let snapshot = try self.snapshot(of: key) else { return .unread(0) }
            return .unread(try self.unread(in: snapshot, after: after, by: user))
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
        case .bans: return try self.bans.all(in: self.path)
        case .conversations(let after, let limit):
            return try self.keys.page(after: after, limit: limit)
        case .examine(let key): return .examined(try self.examine(key))
        case .search: preconditionFailure("a search is read slice by slice")
        case .claim, .write, .numbers, .nextNumber, .ban, .unban, .repair, .probe, .outbox:
            preconditionFailure("a reader received a write request")
        }
    }

    /// The first messages that were amended since a revision, in the order of their last changes.
    private func amended(
        in snapshot: ConversationSnapshot, through: SequenceNumber, since: Revision,
        limit: PageLimit
    ) throws(StorageFault) -> (messages: [Message], hasMore: Bool) {
        let newest = min(through, snapshot.head)
        let sequences = try self.amendments.sequences(of: snapshot.id, since: since).filter {
            $0 >= snapshot.oldest && $0 <= newest
        }
        return try limit.page(of: sequences, isForward: true) { (sequence) throws(StorageFault) in
            guard let entry = try self.entries(of: snapshot, [sequence]).first else {
                throw .damaged("message \(sequence) of conversation \(snapshot.id) is missing")
            }
            return try self.message(entry)
        }
    }

    /// Messages of the log without an index entry. The search reads the whole log, so it begins
    /// only if the index is incomplete.
    private func examine(_ key: ConversationKey) throws(StorageFault) -> StoredFaults {
        guard let snapshot = try self.snapshot(of: key) else { return StoredFaults() }
        let window = snapshot.oldest..<(snapshot.head + 1)
        guard !window.isEmpty else { return StoredFaults() }
        var known = Set(
            try self.messageIndex.entries(of: snapshot.id, in: window).map(\.sequence))
        known.formUnion(
            self.unindexed.entries(of: snapshot.id, in: window, upTo: snapshot.lastPosition)
                .map(\.sequence))
        guard known.count < window.count else { return StoredFaults() }
        let lost = try self.log.entries(of: snapshot.id, window, lackedBy: known)
        return StoredFaults(
            repairable: lost.map { "the index lacks message \($0.sequence), which is stored" })
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
        var snapshot = ConversationSnapshot(
            id: row.id, record: row.record, head: row.retainedFrom - 1, revision: row.revision,
            oldest: row.retainedFrom, lastPosition: last)
        var newest = self.unindexed.newest(of: row.id, upTo: last)
        if newest == nil { newest = try self.messageIndex.newest(of: row.id) }
        if let newest {
            let message = try self.messages.message(
                at: newest.position, of: row.id, sequence: newest.sequence)
            snapshot.head = message.sequence
            if message.revision > row.revision {
                snapshot.revision = message.revision
                snapshot.record.updatedAt = message.sentAt
            }
        }
        snapshot.oldest = self.options.oldest(retainedFrom: row.retainedFrom, head: snapshot.head)
        return snapshot
    }

    func messages(of snapshot: ConversationSnapshot, _ range: PageRange, limit: PageLimit)
        throws(StorageFault) -> [Message]
    {
        try limit.page(
            of: try self.entries(of: snapshot, range, limit: limit.messages),
            isForward: range.isForward, read: self.message
        ).messages
    }

    func message(_ entry: MessageIndexEntry) throws(StorageFault) -> Message {
        try self.messages.message(
            at: entry.position, of: entry.conversation, sequence: entry.sequence)
    }

    /// The positions of a page's messages, oldest first. None is missing.
    func entries(of snapshot: ConversationSnapshot, _ range: PageRange, limit: Int)
        throws(StorageFault) -> [MessageIndexEntry]
    {
        let window = range.window(oldest: snapshot.oldest, head: snapshot.head, limit: limit)
        guard !window.isEmpty else { return [] }
        let unindexed = self.unindexed.entries(
            of: snapshot.id, in: window, upTo: snapshot.lastPosition)
        let indexed = window.lowerBound..<(unindexed.last?.sequence ?? window.upperBound)
        var entries =
            indexed.isEmpty ? [] : try self.messageIndex.entries(of: snapshot.id, in: indexed)
        entries += unindexed.reversed()
        let gap = zip(window, entries).first { $0 != $1.sequence }?.0
        guard gap == nil, entries.count == window.count else {
            throw .damaged(
                "message \(gap ?? window.lowerBound + entries.count) "
                    + "of conversation \(snapshot.id) is missing")
        }
        return entries
    }

    /// The positions of retained messages, which are in ascending order.
    func entries(of snapshot: ConversationSnapshot, _ sequences: [SequenceNumber])
        throws(StorageFault) -> [MessageIndexEntry]
    {
        guard let first = sequences.first, let last = sequences.last else { return [] }
        // All in one walk: each one passes the conversation's newest messages.
        let unindexed = self.unindexed.entries(
            of: snapshot.id, in: first..<last + 1, upTo: snapshot.lastPosition)
        var entries: [MessageIndexEntry] = []
        entries.reserveCapacity(sequences.count)
        for sequence in sequences {
            var entry: MessageIndexEntry?
            if let newest = unindexed.first?.sequence, let oldest = unindexed.last?.sequence,
                (oldest...newest).contains(sequence)
            {
                // They are consecutive, newest first, unless the file is damaged.
                let index = newest - sequence
                entry = unindexed.indices.contains(index) ? unindexed[index] : nil
            } else {
                entry = try self.messageIndex.entries(of: snapshot.id, in: sequence..<sequence + 1)
                    .first
            }
            guard let entry, entry.sequence == sequence else {
                throw .damaged("message \(sequence) of conversation \(snapshot.id) is missing")
            }
            entries.append(entry)
        }
        return entries
    }

    /// - Parameters:
    ///   - end: the message at which counting stops; nil after the newest one.
    ///   - limit: counting stops at this number.
    func unread(
        in snapshot: ConversationSnapshot, after: SequenceNumber, before end: SequenceNumber? = nil,
        by user: UserID, limit: Int = .max
    ) throws(StorageFault) -> Int {
        var window = PageRange.after(after).window(
            oldest: snapshot.oldest, head: snapshot.head, limit: .max)
        if let end { window = window.clamped(to: .min..<end) }
        guard !window.isEmpty, limit > 0 else { return 0 }
        let authorHash = MessageRows.authorHash(of: user)
        let unindexed = self.unindexed.entries(
            of: snapshot.id, in: window, upTo: snapshot.lastPosition)
        let indexed = window.lowerBound..<(unindexed.last?.sequence ?? window.upperBound)
        // The index includes deleted messages.
        let deleted = try self.deletions.count(of: snapshot.id, in: window, notBy: user)
        let limit = limit > .max - deleted ? .max : limit + deleted
        var count = unindexed.count { $0.authorHash != authorHash }
        if count < limit {
            count += try self.messageIndex.count(
                of: snapshot.id, in: indexed, notBy: authorHash, limit: limit - count)
        }
        return max(0, min(count, limit) - deleted)
    }
}
