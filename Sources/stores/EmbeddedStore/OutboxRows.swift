import Bytes
import ChatModel

/// The tables `outbox`, `outbox_done` and `dead_letters`: one partition with the number 0.
struct OutboxRows {
    private let insertion: SQLiteStatement
    private let selection: SQLiteStatement
    private let event: SQLiteStatement
    private let deletion: SQLiteStatement
    private let mark: SQLiteStatement
    private let marks: SQLiteStatement
    private let unmark: SQLiteStatement
    private let burial: SQLiteStatement
    private let letters: SQLiteStatement
    private let revival: SQLiteStatement
    private let removal: SQLiteStatement
    private let trim: SQLiteStatement
    private let state: SQLiteStatement
    private let text = RowTextBuffer()
    private let limit: Int

    /// - Parameter limit: of dead letters.
    init(_ connection: SQLiteConnection, limit: Int) throws(SQLiteFailure) {
        self.limit = limit
        self.insertion = try connection.prepare(
            """
            INSERT INTO outbox (tenant, conversation, id, type, queued_at, target, body)
            VALUES (?, ?, ?, ?, ?, NULL, ?)
            """)
        self.selection = try connection.prepare(
            """
            SELECT position, tenant, conversation, id, type, queued_at, target FROM outbox
            WHERE position > ? AND NOT EXISTS (SELECT 1 FROM outbox_done
                WHERE outbox_done.position = outbox.position AND outbox_done.receiver = ?)
            ORDER BY position LIMIT ?
            """)
        self.event = try connection.prepare(
            """
            SELECT position, tenant, conversation, id, type, queued_at, target, body FROM outbox
            WHERE position = ?
            """)
        self.deletion = try connection.prepare("DELETE FROM outbox WHERE position = ?")
        self.mark = try connection.prepare("INSERT OR IGNORE INTO outbox_done VALUES (?, ?)")
        self.marks = try connection.prepare("SELECT receiver FROM outbox_done WHERE position = ?")
        self.unmark = try connection.prepare("DELETE FROM outbox_done WHERE position = ?")
        self.burial = try connection.prepare(
            """
            INSERT INTO dead_letters (tenant, conversation, id, type, body, receiver, attempts,
                reason, died_at)
            SELECT tenant, conversation, id, type, body, ?, ?, ?, ? FROM outbox WHERE position = ?
            """)
        self.letters = try connection.prepare(
            """
            SELECT position, tenant, conversation, id, type, died_at, receiver, attempts, reason
            FROM dead_letters ORDER BY position LIMIT ?
            """)
        self.revival = try connection.prepare(
            """
            INSERT INTO outbox (tenant, conversation, id, type, queued_at, target, body)
            SELECT tenant, conversation, id, type, ?, receiver, body FROM dead_letters
            WHERE position = ?
            """)
        self.removal = try connection.prepare("DELETE FROM dead_letters WHERE position = ?")
        self.trim = try connection.prepare(
            """
            DELETE FROM dead_letters WHERE position IN
                (SELECT position FROM dead_letters ORDER BY position LIMIT ?)
            """)
        // Counting uses the index, because the rows contain the bodies.
        self.state = try connection.prepare(
            "SELECT EXISTS (SELECT 1 FROM outbox), (SELECT count(died_at) FROM dead_letters)")
    }

    func append(_ event: OutboxEvent) throws(StorageFault) {
        let texts = [
            event.conversation.tenant, event.conversation.id, event.id, event.type,
        ]
        self.text.begin(byteCount: texts.reduce(event.body.count) { $0 + $1.byteCount })
        for (index, text) in texts.enumerated() {
            self.insertion.bind(Int32(index + 1), text: self.text.copy(text.string))
        }
        self.insertion.bind(5, Int(event.queuedAt.milliseconds))
        self.insertion.bind(6, blob: self.text.copy(event.body))
        try self.insertion.run()
    }

    func answer(_ request: OutboxRequest) throws(StorageFault) -> OutboxAnswer {
        switch request {
        case .scan: return try self.scan()
        case .take(_, let reader, let after, _, let limit):
            let entries = try self.entries(of: reader.group, after: after, limit: limit)
            return .taken(entries, entries.count < limit ? .atEnd : .more)
        case .begin(let position, _, _): return .event(try self.event(at: position))
        case .complete(let positions, _, let reader):
            for position in positions { try self.complete(position, reader) }
            return .done(dropped: 0)
        case .bury(let position, _, let reader, let attempts, let reason, let time):
            self.burial.bind(1, copying: reader.group)
            self.burial.bind(2, attempts)
            self.burial.bind(3, copying: ByteString(reason))
            self.burial.bind(4, Int(time.milliseconds))
            self.burial.bind(5, Int(position.major))
            try self.burial.run()
            try self.complete(position, reader)
            return .done(dropped: try self.trimLetters())
        case .deadLetters(_, let limit): return .deadLetters(try self.deadLetters(limit: limit))
        case .retry(let positions, _, let time):
            for position in positions {
                self.revival.bind(1, Int(time.milliseconds))
                self.revival.bind(2, Int(position.major))
                try self.revival.run()
                try self.run(self.removal, position)
            }
            return .done(dropped: 0)
        case .drop(let positions, _):
            for position in positions { try self.run(self.removal, position) }
            return .done(dropped: 0)
        }
    }

    private func run(_ statement: SQLiteStatement, _ position: OutboxPosition)
        throws(StorageFault)
    {
        statement.bind(1, Int(position.major))
        try statement.run()
    }

    private func scan() throws(StorageFault) -> OutboxAnswer {
        defer { self.state.reset() }
        guard try self.state.next() else { return .partitions([]) }
        let (hasEvents, deadCount) = (self.state.int(0) != 0, self.state.int(1))
        guard hasEvents || deadCount > 0 else { return .partitions([]) }
        return .partitions([
            OutboxPartition(number: 0, hasEvents: hasEvents, deadCount: deadCount)
        ])
    }

    private func entries(of group: ByteString, after: OutboxPosition?, limit: Int)
        throws(StorageFault) -> [OutboxEntry]
    {
        defer { self.selection.reset() }
        self.selection.bind(1, Int(after?.major ?? 0))
        self.selection.bind(2, copying: group)
        self.selection.bind(3, limit)
        var entries: [OutboxEntry] = []
        while try self.selection.next() {
            let row = self.selection
            entries.append(
                OutboxEntry(
                    position: OutboxPosition(UInt64(row.int(0))), id: Self.text(row, 3),
                    type: Self.text(row, 4), conversation: Self.conversation(row),
                    queuedAt: Timestamp(milliseconds: Int64(row.int(5))),
                    target: row.text(6).map { ByteString($0) }))
        }
        return entries
    }

    private func event(at position: OutboxPosition) throws(StorageFault) -> OutboxEvent? {
        defer { self.event.reset() }
        self.event.bind(1, Int(position.major))
        guard try self.event.next() else { return nil }
        return OutboxEvent(
            id: Self.text(self.event, 3), type: Self.text(self.event, 4),
            conversation: Self.conversation(self.event),
            queuedAt: Timestamp(milliseconds: Int64(self.event.int(5))),
            body: self.event.bytes(7).map { Array($0) } ?? [])
    }

    private func complete(_ position: OutboxPosition, _ reader: OutboxReader) throws(StorageFault) {
        guard reader.groups.count > 1 else { return try self.run(self.deletion, position) }
        self.mark.bind(1, Int(position.major))
        self.mark.bind(2, copying: reader.group)
        try self.mark.run()
        guard try self.completedGroups(of: position).isSuperset(of: reader.groups) else { return }
        try self.run(self.deletion, position)
        try self.run(self.unmark, position)
    }

    private func completedGroups(of position: OutboxPosition) throws(StorageFault)
        -> Set<ByteString>
    {
        defer { self.marks.reset() }
        self.marks.bind(1, Int(position.major))
        var groups: Set<ByteString> = []
        while try self.marks.next() { groups.insert(Self.text(self.marks, 0)) }
        return groups
    }

    /// - Returns: the number of dropped letters.
    private func trimLetters() throws(StorageFault) -> Int {
        guard case .partitions(let partitions) = try self.scan() else { return 0 }
        let excess = partitions.reduce(0) { $0 + $1.deadCount } - self.limit
        guard excess > 0 else { return 0 }
        self.trim.bind(1, excess)
        try self.trim.run()
        return excess
    }

    private func deadLetters(limit: Int) throws(StorageFault) -> [DeadLetter] {
        defer { self.letters.reset() }
        self.letters.bind(1, limit)
        var letters: [DeadLetter] = []
        while try self.letters.next() {
            let row = self.letters
            letters.append(
                DeadLetter(
                    partition: 0, position: OutboxPosition(UInt64(row.int(0))),
                    group: Self.text(row, 6), id: Self.text(row, 3), type: Self.text(row, 4),
                    conversation: Self.conversation(row), attempts: row.int(7),
                    reason: row.text(8) ?? "",
                    diedAt: Timestamp(milliseconds: Int64(row.int(5)))))
        }
        return letters
    }

    private static func text(_ row: SQLiteStatement, _ column: Int32) -> ByteString {
        ByteString(row.text(column) ?? "")
    }

    private static func conversation(_ row: SQLiteStatement) -> ConversationKey {
        ConversationKey(tenant: Self.text(row, 1), id: Self.text(row, 2))
    }
}
