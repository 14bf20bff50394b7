import ChatModel

extension Conversation {
    /// A member has read these, and with the highest of them everything below.
    mutating func read(
        _ sequences: [SequenceNumber], by user: UserID, from origin: Origin, at now: Moment, into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        _ = try self.checkedRecord(for: user)
        guard let reader = self.members.member(user) else { throw .notAMember }
        let known = sequences.filter { $0 >= 1 && $0 <= self.storedHead }
        let unknown = sequences.filter { $0 < 1 || $0 > self.storedHead }
        if let highest = known.max() {
            let before = self.members[reader].member.readCursor
            // What the cursor covers beyond the ids named counts as read too, the newest of it.
            let covered = before < highest ? Array(max(before + 1, highest - self.limits.readReceipts + 1)...highest) : []
            effects.append(.event(.read(self.members[reader].person, known), revision: 0, asked: nil))
            let firstTime = Set(covered).union(known).sorted()
            self.mark(firstTime, .delivered, by: reader, at: now, into: &effects)
            self.mark(firstTime, .read, by: reader, at: now, into: &effects)
            if before < highest {
                self.members[reader].member.readCursor = highest
                self.cursorMoved(reader, at: now, into: &effects)
            }
            if self.members[reader].member.deliveredCursor < highest {
                self.members[reader].member.deliveredCursor = highest
                self.cursorMoved(reader, at: now, into: &effects)
            }
        }
        effects.append(.answer(.read(unknown: unknown), to: origin))
    }

    /// A socket of this user's has taken these messages.
    mutating func delivered(_ range: ClosedRange<SequenceNumber>, to user: UserID, at now: Moment, into effects: inout [ConversationEffect]) {
        guard let receiver = self.members.number(of: user), let recents = self.recents else { return }
        let upper = min(range.upperBound, self.storedHead)
        let lower = max(range.lowerBound, recents.range.lowerBound)
        guard lower <= upper else { return }
        self.mark(Array(lower...upper), .delivered, by: receiver, at: now, into: &effects)
        if self.members[receiver].member.deliveredCursor < upper {
            self.members[receiver].member.deliveredCursor = upper
            self.cursorMoved(receiver, at: now, into: &effects)
        }
    }

    /// Tells the authors of those messages that bear the mark for the first time; one's own do not count.
    private mutating func mark(
        _ sequences: [SequenceNumber], _ mark: RecentMessages.Mark, by member: UInt32, at now: Moment, into effects: inout [ConversationEffect]
    ) {
        var byAuthor: [(author: UInt32, sequences: [SequenceNumber])] = []
        for sequence in sequences {
            guard let author = self.recents?.author(of: sequence), author != member, self.recents?.isMarked(sequence, mark) == false else { continue }
            self.recents?.mark(sequence, mark)
            if let place = byAuthor.firstIndex(where: { $0.author == author }) {
                byAuthor[place].sequences.append(sequence)
            } else {
                byAuthor.append((author, [sequence]))
            }
        }
        for (author, sequences) in byAuthor {
            let loops = self.members[author].loops.all
            guard !loops.isEmpty else { continue }
            let status: MessageStatus = mark == .read ? .read : .delivered
            effects.append(.tell(.status(author: self.members[author].member.user, status, sequences, at: now.wall), loops))
        }
    }

    private mutating func cursorMoved(_ number: UInt32, at now: Moment, into effects: inout [ConversationEffect]) {
        guard !self.members[number].isCursorDirty else { return }
        self.members[number].isCursorDirty = true
        self.dirtyCursors.append(number)
        if self.dirtyCursors.count == 1 {
            self.cursorFlushDue = now.after(self.limits.cursorFlush)
            self.wake(at: self.cursorFlushDue, into: &effects)
        }
    }

    /// Moved cursors go to the store together.
    mutating func flushCursors(at now: Moment, into effects: inout [ConversationEffect]) {
        guard !self.dirtyCursors.isEmpty else { return }
        guard now.monotonic >= self.cursorFlushDue else {
            self.wake(at: self.cursorFlushDue, into: &effects)
            return
        }
        for number in self.dirtyCursors {
            self.members[number].isCursorDirty = false
            let member = self.members[number].member
            guard self.members[number].isMember else { continue }
            effects.append(.write(.cursors(member.user, read: member.readCursor, delivered: member.deliveredCursor), revision: 0))
        }
        self.dirtyCursors.removeAll()
    }
}
