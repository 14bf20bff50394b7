public import ChatModel

extension Conversation {
    /// A member has read these, and with the highest of them everything below.
    mutating func read(
        _ sequences: [SequenceNumber], by user: UserID, from origin: Origin, at now: Moment, into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        guard self.standing != .missing else { throw .noSuchConversation }
        guard !self.isInbox else { return self.settle(sequences, by: user, from: origin, at: now, into: &effects) }
        guard let reader = self.members.member(user) else { throw .notAMember }
        let known = sequences.filter { $0 >= 1 && $0 <= self.storedHead }
        if let highest = known.max() {
            let covered = self.covered(by: highest, from: self.members[reader].member.readCursor)
            self.read(known, beside: covered, upTo: highest, by: reader, at: now, into: &effects)
        }
        effects.append(.answer(.read(unknown: sequences.filter { $0 < 1 || $0 > self.storedHead }), to: origin))
    }

    /// A member has read everything up to a message; 0 is before the first. Who says so looks next at what is unread, which the store
    /// counts: it is written at once, and answered then.
    mutating func read(
        through sequence: SequenceNumber, by user: UserID, from origin: Origin, at now: Moment, into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        guard self.standing != .missing else { throw .noSuchConversation }
        guard !self.isInbox else { return self.settle([sequence], by: user, from: origin, at: now, into: &effects) }
        guard let reader = self.members.member(user) else { throw .notAMember }
        guard sequence >= 0, sequence <= self.storedHead else {
            effects.append(.answer(.read(unknown: [sequence]), to: origin))
            return
        }
        guard !self.isStoreAway else { throw .unavailable }
        // Asked again because the store failed, it has been told already.
        if !origin.isRepeat || self.members[reader].member.readCursor < sequence {
            let covered = self.covered(by: sequence, from: self.members[reader].member.readCursor)
            self.read(Array(covered), beside: covered, upTo: sequence, by: reader, at: now, into: &effects)
        }
        // Also where it has not moved: an earlier move may still be on its way.
        self.writeDownCursors(of: reader, for: origin, into: &effects)
    }

    /// What a cursor newly covers that moves up to `highest`, the newest of it; empty where it does not move.
    private func covered(by highest: SequenceNumber, from cursor: SequenceNumber) -> Range<SequenceNumber> {
        let first = max(cursor, highest - self.rules.limits.readReceipts) + 1
        return first..<max(first, highest + 1)
    }

    /// - Parameters:
    ///   - named: what everybody is told of.
    ///   - covered: what counts as read too.
    private mutating func read(
        _ named: [SequenceNumber], beside covered: Range<SequenceNumber>, upTo highest: SequenceNumber, by reader: UInt32, at now: Moment,
        into effects: inout [ConversationEffect]
    ) {
        let before = self.members[reader].member.readCursor
        effects.append(.event(.read(self.members[reader].person, named, through: max(before, highest)), revision: 0, asked: nil))
        let affected = Set(named.filter { $0 < covered.lowerBound }).sorted() + Array(covered)
        self.mark(affected, .delivered, by: reader, at: now, into: &effects)
        self.mark(affected, .read, by: reader, at: now, into: &effects)
        if before < highest {
            self.members[reader].member.readCursor = highest
            self.cursorMoved(reader, within: self.rules.cursorFlush, at: now, into: &effects)
        }
        self.moveDelivered(reader, to: highest, at: now, into: &effects)
    }

    /// What came into an inbox has arrived. Whoever has something to remember becomes a member by it.
    private mutating func settle(
        _ sequences: [SequenceNumber], by user: UserID, from origin: Origin, at now: Moment, into effects: inout [ConversationEffect]
    ) {
        defer { effects.append(.answer(.read(unknown: []), to: origin)) }
        guard let highest = sequences.filter({ $0 <= self.storedHead }).max(), highest > 0 else { return }
        if let reader = self.members.member(user) {
            guard self.members[reader].member.readCursor < highest else { return }
            self.members[reader].member.readCursor = highest
            // At once: until the store has it, an owner's death would bring everything again.
            self.cursorMoved(reader, within: 0, at: now, into: &effects)
            self.flushCursors(at: now, into: &effects)
        } else if !self.isStoreAway {
            let member = Member(user: user, name: user.name, role: .member, joinedAt: now.wall, readCursor: highest)
            self.write(.member(member), then: .member(self.members.insert(member, isMember: true), isArrival: true), into: &effects)
        }
    }

    /// A socket of this user's has taken these messages.
    mutating func delivered(_ range: ClosedRange<SequenceNumber>, to user: UserID, at now: Moment, into effects: inout [ConversationEffect])
    {
        guard let receiver = self.members.number(of: user) else { return }
        let upper = min(range.upperBound, self.storedHead)
        let lower = max(range.lowerBound, self.recents.range.lowerBound)
        guard lower <= upper else { return }
        self.mark(lower...upper, .delivered, by: receiver, at: now, into: &effects)
        self.moveDelivered(receiver, to: upper, at: now, into: &effects)
    }

    /// Tells the authors of those messages that bear the mark for the first time; one's own do not count.
    private mutating func mark(
        _ sequences: some Collection<SequenceNumber>, _ mark: RecentMessages.Mark, by member: UInt32, at now: Moment,
        into effects: inout [ConversationEffect]
    ) {
        var byAuthor: [(author: UInt32, sequences: [SequenceNumber])] = []
        for sequence in sequences {
            guard let author = self.recents.author(of: sequence), author != member, !self.recents.isMarked(sequence, mark) else { continue }
            self.recents.mark(sequence, mark)
            if let place = byAuthor.firstIndex(where: { $0.author == author }) {
                byAuthor[place].sequences.append(sequence)
            } else {
                byAuthor.append((author, [sequence]))
            }
        }
        let status: MessageStatus = mark == .read ? .read : .delivered
        for (author, sequences) in byAuthor where self.members[author].isPresent {
            let event = ChatEvent.status(author: self.members[author].member.user, status, sequences, at: now.wall)
            effects.append(.tell(event, self.members[author].loops))
        }
    }

    private mutating func moveDelivered(
        _ number: UInt32, to sequence: SequenceNumber, at now: Moment, into effects: inout [ConversationEffect]
    ) {
        guard self.members[number].member.deliveredCursor < sequence else { return }
        self.members[number].member.deliveredCursor = sequence
        self.cursorMoved(number, within: self.rules.deliveredFlush, at: now, into: &effects)
    }

    /// - Parameter delay: how many milliseconds it may take at most until the store has it.
    private mutating func cursorMoved(
        _ number: UInt32, within delay: Int64, at now: Moment, into effects: inout [ConversationEffect]
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

    /// Cursors that have moved go to the store at once: another will own the conversation.
    public mutating func writeDownCursors(at now: Moment, into effects: inout [ConversationEffect]) {
        self.cursorFlushDue = now.monotonic
        self.flushCursors(at: now, into: &effects)
    }

    /// One member's cursors go to the store at once, and who asked for it is answered when they are there.
    private mutating func writeDownCursors(of number: UInt32, for asker: Origin, into effects: inout [ConversationEffect]) {
        self.members[number].isCursorDirty = false
        self.dirtyCursors.removeAll { $0 == number }
        self.writeCursors(of: number, for: asker, into: &effects)
    }

    private func writeCursors(of number: UInt32, for asker: Origin?, into effects: inout [ConversationEffect]) {
        let member = self.members[number].member
        effects.append(
            .write(.cursors(member.user, read: member.readCursor, delivered: member.deliveredCursor), revision: 0, asked: asker))
    }

    /// Moved cursors go to the store together.
    mutating func flushCursors(at now: Moment, into effects: inout [ConversationEffect]) {
        guard !self.dirtyCursors.isEmpty else { return }
        if self.isStoreAway || self.knowledge == .nothing || self.knowledge == .loading {
            self.cursorFlushDue = max(self.cursorFlushDue, now.monotonic + ConversationRules.cursorRetry)
        }
        guard now.monotonic >= self.cursorFlushDue else {
            self.wake(at: self.cursorFlushDue, into: &effects)
            return
        }
        for number in self.dirtyCursors {
            self.members[number].isCursorDirty = false
            guard self.members.isMember(number) else { continue }
            self.writeCursors(of: number, for: nil, into: &effects)
        }
        self.dirtyCursors.removeAll()
    }

    /// The store has not taken a member's cursors: they are written again in a while.
    public mutating func cursorsNotStored(of user: UserID, at now: Moment, into effects: inout [ConversationEffect]) {
        guard let number = self.members.number(of: user) else { return }
        self.cursorMoved(number, within: ConversationRules.cursorRetry, at: now, into: &effects)
        self.cursorFlushDue = max(self.cursorFlushDue, now.monotonic + ConversationRules.cursorRetry)
    }
}
