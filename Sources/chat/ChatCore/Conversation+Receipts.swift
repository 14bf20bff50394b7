public import ChatModel

extension Conversation {
    /// Marks these messages as read, and all below the highest of them. The event lists each once,
    /// and only the newest, up to `readReceiptLimit`.
    mutating func read(
        _ sequences: [SequenceNumber], by user: UserID, from origin: RequestOrigin,
        at now: ClockReading, into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        guard self.lifecycle != .missing else { throw .noSuchConversation }
        guard !self.isInbox else {
            return self.acknowledgeInbox(sequences, by: user, from: origin, at: now, into: &effects)
        }
        guard let reader = self.members.memberNumber(of: user) else {
            throw self.refusalOfNonMember
        }
        let named = Set(sequences).sorted()
        let known = named.filter { $0 >= 1 && $0 <= self.storedHead }
            .suffix(self.rules.limits.readReceiptLimit)
        let unknown = named.filter { $0 < 1 || $0 > self.storedHead }
        guard let highest = known.last else {
            return effects.append(.answer(.read(unknown: unknown), to: origin))
        }
        try self.queueRead(
            UnstoredReads.UnstoredRead(
                reader: reader, named: Array(known), through: highest, unknown: unknown,
                origin: origin),
            at: now, into: &effects)
    }

    /// Marks all messages up to a number as read; 0 is before the first.
    mutating func read(
        through sequence: SequenceNumber, by user: UserID, from origin: RequestOrigin,
        at now: ClockReading, into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        guard self.lifecycle != .missing else { throw .noSuchConversation }
        guard !self.isInbox else {
            return self.acknowledgeInbox(
                [sequence], by: user, from: origin, at: now, into: &effects)
        }
        guard let reader = self.members.memberNumber(of: user) else {
            throw self.refusalOfNonMember
        }
        guard sequence >= 0, sequence <= self.storedHead else {
            effects.append(.answer(.read(unknown: [sequence]), to: origin))
            return
        }
        try self.queueRead(
            UnstoredReads.UnstoredRead(
                reader: reader, named: nil, through: sequence, unknown: [], origin: origin),
            at: now, into: &effects)
    }

    /// Answers a member with the read positions of all members.
    func answerReceipts(
        to user: UserID, _ origin: RequestOrigin, into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        _ = try self.checkedRecord(for: user)
        guard let number = self.members.memberNumber(of: user) else { return }
        let members = self.members.members.filter { $0.readCursor > 0 || $0.deliveredCursor > 0 }
        let highest = members.sorted {
            ($1.readCursor, $1.deliveredCursor, $0.user)
                < ($0.readCursor, $0.deliveredCursor, $1.user)
        }
        let receipts = ReceiptList(
            own: ReceiptList.Receipt(self.members[number].member),
            highest: highest.prefix(ReceiptList.limit).map { ReceiptList.Receipt($0) },
            total: members.count)
        effects.append(.answer(.receipts(receipts), to: origin))
    }

    /// Queues a read until the store has the cursor. A client reads unread counts from the store
    /// next, so neither the answer nor the event may come earlier.
    private mutating func queueRead(
        _ read: UnstoredReads.UnstoredRead, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        guard self.members[read.reader].member.readCursor < read.through else {
            return self.completeRead(read, at: now, into: &effects)
        }
        if read.origin.isRetry, self.unstoredReads.contains(read) { return }
        guard !self.areWritesUnavailable, self.unstoredReads.count < ConversationRules.waitingLimit
        else { throw .unavailable }
        self.unstoredReads.append(read)
        self.writeQueuedReads(into: &effects)
    }

    private mutating func writeQueuedReads(into effects: inout [ConversationEffect]) {
        for (reader, through) in self.unstoredReads.beginRound() {
            // The write includes the reader's delivered cursor.
            self.members[reader].isCursorDirty = false
            self.dirtyCursors.removeAll { $0 == reader }
            let member = self.members[reader].member
            self.writeCursors(
                of: member.user, read: through, delivered: max(member.deliveredCursor, through),
                into: &effects)
        }
    }

    private mutating func writeCursors(
        of user: UserID, read: SequenceNumber, delivered: SequenceNumber,
        into effects: inout [ConversationEffect]
    ) {
        self.cursorWritesInFlight += 1
        effects.append(
            .write(.cursors(user, read: read, delivered: delivered), revision: 0, origin: nil))
    }

    /// The store has answered a write of cursors, perhaps one from before the conversation was
    /// abandoned, which no longer counts.
    private mutating func finishCursorWrite() {
        self.cursorWritesInFlight = max(self.cursorWritesInFlight - 1, 0)
    }

    /// The store has a member's cursors.
    mutating func cursorsStored(
        of user: UserID, read: SequenceNumber, delivered: SequenceNumber, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        self.finishCursorWrite()
        guard !self.unstoredReads.isEmpty, let reader = self.members.number(of: user) else {
            return
        }
        let reads = self.unstoredReads.finishRound(of: reader, through: read)
        guard !reads.isEmpty else { return }
        self.members[reader].member.deliveredCursor = max(
            self.members[reader].member.deliveredCursor, delivered)
        for read in reads {
            if self.members.isMember(reader) {
                self.completeRead(read, at: now, into: &effects)
            } else {
                effects.append(.answer(.failed(self.refusalOfNonMember), to: read.origin))
            }
        }
        self.writeQueuedReads(into: &effects)
    }

    private mutating func completeRead(
        _ read: UnstoredReads.UnstoredRead, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        let cursor = self.members[read.reader].member.readCursor
        let covered = self.newlyCovered(by: read.through, from: cursor)
        let named = read.named ?? Array(covered)
        // A read that moves no cursor is no news. The owner that stored the cursor for the first
        // attempt of a retry may have failed before its event.
        if read.through > cursor || read.origin.isRetry {
            effects.append(
                .event(
                    .read(
                        self.members[read.reader].person, named, through: max(cursor, read.through)
                    ),
                    revision: 0, origin: nil))
        }
        self.applyRead(
            named, covering: covered, upTo: read.through, by: read.reader, at: now, into: &effects)
        effects.append(.answer(.read(unknown: read.unknown), to: read.origin))
    }

    /// Fails the reads that are not stored; the requesters retry.
    mutating func failReads(because cause: ChatError, into effects: inout [ConversationEffect]) {
        guard !self.unstoredReads.isEmpty else { return }
        for read in self.unstoredReads.removeInFlight() {
            effects.append(
                .answer(.failed(cause == .damaged ? .damaged : .outcomeUnknown), to: read.origin))
        }
        for read in self.unstoredReads.removeQueued() {
            effects.append(.answer(.failed(cause), to: read.origin))
        }
    }

    /// The messages that a cursor newly covers if it moves up to `highest`, limited to the newest
    /// ones. Empty if the cursor does not move.
    private func newlyCovered(by highest: SequenceNumber, from cursor: SequenceNumber) -> Range<
        SequenceNumber
    > {
        let first = max(cursor, highest - self.rules.limits.readReceiptLimit) + 1
        return first..<max(first, highest + 1)
    }

    /// - Parameters:
    ///   - named: the messages that the reader names.
    ///   - covered: the messages that count as read too.
    private mutating func applyRead(
        _ named: [SequenceNumber], covering covered: Range<SequenceNumber>,
        upTo highest: SequenceNumber, by reader: UInt32, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        let before = self.members[reader].member.readCursor
        let affected = Set(named.filter { $0 < covered.lowerBound }).sorted() + Array(covered)
        self.mark(affected, .delivered, by: reader, at: now, into: &effects)
        self.mark(affected, .read, by: reader, at: now, into: &effects)
        self.members[reader].member.readCursor = max(before, highest)
        self.moveDelivered(reader, to: highest, at: now, into: &effects)
    }

    /// Records that messages of an inbox have arrived. A user with a cursor to store becomes a
    /// member.
    private mutating func acknowledgeInbox(
        _ sequences: [SequenceNumber], by user: UserID, from origin: RequestOrigin,
        at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        defer { effects.append(.answer(.read(unknown: []), to: origin)) }
        guard let highest = sequences.filter({ $0 <= self.storedHead }).max(), highest > 0 else {
            return
        }
        if let reader = self.members.memberNumber(of: user) {
            guard self.members[reader].member.readCursor < highest else { return }
            self.members[reader].member.readCursor = highest
            // Written at once: without the stored cursor, the next owner would deliver everything
            // again.
            self.markCursorDirty(reader, within: 0, at: now, into: &effects)
            self.flushCursors(at: now, into: &effects)
        } else if !self.areWritesUnavailable {
            let member = Member(
                user: user, name: user.name, role: .member, joinedAt: now.wall, readCursor: highest)
            self.write(
                .member(member),
                then: .member(self.members.insert(member, isMember: true), isJoin: true),
                into: &effects)
        }
    }

    /// A socket of this user has received these messages.
    mutating func delivered(
        _ range: ClosedRange<SequenceNumber>, to user: UserID, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        guard let receiver = self.members.number(of: user) else { return }
        let upper = min(range.upperBound, self.storedHead)
        let lower = max(range.lowerBound, self.recents.range.lowerBound)
        guard lower <= upper else { return }
        self.mark(lower...upper, .delivered, by: receiver, at: now, into: &effects)
        self.moveDelivered(receiver, to: upper, at: now, into: &effects)
    }

    /// Notifies the authors of the messages that get the mark for the first time. A mark by the
    /// author does not count.
    private mutating func mark(
        _ sequences: some Collection<SequenceNumber>, _ mark: RecentMessages.Mark,
        by member: UInt32, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        var byAuthor: [(author: UInt32, sequences: [SequenceNumber])] = []
        for sequence in sequences {
            guard let author = self.recents.author(of: sequence), author != member,
                !self.recents.isMarked(sequence, mark)
            else { continue }
            self.recents.mark(sequence, mark)
            if let index = byAuthor.firstIndex(where: { $0.author == author }) {
                byAuthor[index].sequences.append(sequence)
            } else {
                byAuthor.append((author, [sequence]))
            }
        }
        let status: MessageStatus = mark == .read ? .read : .delivered
        for (author, sequences) in byAuthor where self.members[author].isPresent {
            let event = ChatEvent.status(
                author: self.members[author].member.user, status, sequences, at: now.wall)
            effects.append(.notify(event, self.members[author].loops))
        }
    }

    private mutating func moveDelivered(
        _ number: UInt32, to sequence: SequenceNumber, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        guard self.members[number].member.deliveredCursor < sequence else { return }
        self.members[number].member.deliveredCursor = sequence
        self.markCursorDirty(
            number, within: self.rules.deliveredFlushDelay, at: now, into: &effects)
    }

    /// - Parameter delay: the most milliseconds until the cursor is written.
    private mutating func markCursorDirty(
        _ number: UInt32, within delay: Int64, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        if !self.members[number].isCursorDirty {
            self.members[number].isCursorDirty = true
            self.dirtyCursors.append(number)
            if self.dirtyCursors.count == 1 { self.cursorFlushDue = .max }
        }
        guard now.monotonic + delay < self.cursorFlushDue else { return }
        self.cursorFlushDue = now.monotonic + delay
        self.wake(at: self.cursorFlushDue, into: &effects)
    }

    /// Writes the moved cursors at once, because another loop is about to own the conversation.
    public mutating func flushCursorsNow(
        at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        self.cursorFlushDue = now.monotonic
        self.flushCursors(at: now, into: &effects)
    }

    /// Writes the moved cursors together, when they are due.
    mutating func flushCursors(at now: ClockReading, into effects: inout [ConversationEffect]) {
        guard !self.dirtyCursors.isEmpty else { return }
        if self.areWritesUnavailable || !self.phase.isServing {
            self.cursorFlushDue = max(
                self.cursorFlushDue, now.monotonic + ConversationRules.cursorRetryDelay)
        }
        guard now.monotonic >= self.cursorFlushDue else {
            self.wake(at: self.cursorFlushDue, into: &effects)
            return
        }
        for number in self.dirtyCursors {
            self.members[number].isCursorDirty = false
            guard self.members.isMember(number) else { continue }
            let member = self.members[number].member
            self.writeCursors(
                of: member.user, read: member.readCursor, delivered: member.deliveredCursor,
                into: &effects)
        }
        self.dirtyCursors.removeAll()
    }

    /// The store has not stored a member's cursors. Its reads fail; other moved cursors are written
    /// again later.
    public mutating func cursorsFailed(
        of user: UserID, read: SequenceNumber, because cause: ChatError, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        self.finishCursorWrite()
        guard let number = self.members.number(of: user) else { return }
        let reads = self.unstoredReads.finishRound(of: number, through: read)
        for read in reads { effects.append(.answer(.failed(cause), to: read.origin)) }
        if !reads.isEmpty {
            for read in self.unstoredReads.removeQueued() {
                effects.append(.answer(.failed(.unavailable), to: read.origin))
            }
        }
        self.markCursorDirty(
            number, within: ConversationRules.cursorRetryDelay, at: now, into: &effects)
        self.cursorFlushDue = max(
            self.cursorFlushDue, now.monotonic + ConversationRules.cursorRetryDelay)
    }
}
