import Bytes
import ChatModel

extension SQLiteWriter {
    /// Applies one write of an owner, or returns the reason for its refusal.
    ///
    /// A change reads everything before it writes, so that a refusal because of damage writes
    /// nothing.
    @inline(__always)
    func apply(_ write: Write) throws(StorageFault) -> WriteRefusal? {
        do {
            guard let slot = try self.slot(of: write.conversation) else {
                return try self.create(write)
            }
            let cached = self.conversationCache[slot]
            guard write.follows(revision: cached.revision, head: cached.head) else {
                return .revisionMismatch(stored: cached.revision)
            }
            guard case .message(var message) = write.change else {
                try self.applyChange(write, slot)
                return nil
            }
            message.revision = write.revision
            try self.append(message, to: slot)
            return nil
        } catch .damaged {
            return .damaged
        }
    }

    /// The cache slot of a conversation, which is read from the file if needed; nil if the
    /// conversation does not exist.
    @inline(__always)
    private func slot(of key: ConversationKey) throws(StorageFault) -> UInt32? {
        if let slot = self.conversationCache.slot(of: key) { return slot }
        guard let row = try self.conversations.conversation(key) else { return nil }
        var cached = CachedConversation(
            id: row.id, head: row.retainedFrom - 1, revision: row.revision,
            updatedAt: row.record.updatedAt, retainedFrom: row.retainedFrom)
        var newest = self.unindexed.newest(of: row.id)
        if newest == nil { newest = try self.messageIndex.newest(of: row.id) }
        if let newest {
            let message = try self.messages.message(
                at: newest.position, of: row.id, sequence: newest.sequence)
            cached.head = newest.sequence
            if message.revision > row.revision {
                cached.revision = message.revision
                cached.updatedAt = message.sentAt
            }
        }
        return self.conversationCache.insert(cached, for: key, isNew: false)
    }

    private func create(_ write: Write) throws(StorageFault) -> WriteRefusal? {
        if let refusal = write.refusalWithoutConversation { return refusal }
        guard case .create(let record) = write.change else { return nil }
        let row = StoredConversation(
            id: self.nextConversation, key: write.conversation, record: record, revision: 1,
            retainedFrom: 1)
        try self.conversations.insert(row)
        // Not reverted by a rollback: ids may have gaps.
        self.nextConversation += 1
        let cached = CachedConversation(
            id: row.id, head: 0, revision: 1, updatedAt: record.updatedAt, retainedFrom: 1)
        _ = self.conversationCache.insert(cached, for: write.conversation, isNew: true)
        return nil
    }

    private func append(_ message: Message, to slot: UInt32) throws(StorageFault) {
        let id = self.conversationCache[slot].id
        try self.messages.insert(message, of: id, at: self.nextPosition)
        if message.state == .deleted {
            try self.deletions.insert(message.sequence, of: id, by: message.body.author.id)
        }
        if let annotations = message.body.annotations {
            try self.record(annotations, of: message, in: id)
        }
        let authorHash = MessageRows.authorHash(of: message.body.author.id)
        self.transactionEntries.append(
            MessageIndexEntry(
                conversation: id, sequence: message.sequence, position: self.nextPosition,
                authorHash: authorHash))
        self.nextPosition += 1
        self.conversationCache.update(slot) { cached in
            cached.head = message.sequence
            cached.revision = message.revision
            cached.updatedAt = message.sentAt
        }
        if self.options.history > 0, message.sequence >= self.conversationCache[slot].nextTrimHead {
            try self.trim(slot)
        }
    }

    private func applyChange(_ write: Write, _ slot: UInt32) throws(StorageFault) {
        let id = self.conversationCache[slot].id
        switch write.change {
        case .create, .message:
            preconditionFailure("applyChange called with a message or a creation")
        case .cursors(let user, let read, let delivered):
            guard var member = try self.members.member(user, of: id) else { return }
            guard read > member.readCursor || delivered > member.deliveredCursor else { return }
            member.readCursor = max(member.readCursor, read)
            member.deliveredCursor = max(member.deliveredCursor, delivered)
            try self.members.put(member, of: id)
        case .amend(let message, _, let time):
            var row = try self.row(of: write.conversation)
            if let time { row.record.updatedAt = time }
            try self.amend(message, revision: write.revision, slot)
            try self.saveRow(row, revision: write.revision, slot)
        case .member(var member):
            let row = try self.row(of: write.conversation)
            if let existing = try self.members.member(member.user, of: id) {
                member.readCursor = max(member.readCursor, existing.readCursor)
                member.deliveredCursor = max(member.deliveredCursor, existing.deliveredCursor)
            }
            try self.members.put(member, of: id)
            try self.saveRow(row, revision: write.revision, slot)
        case .remove(let user):
            let row = try self.row(of: write.conversation)
            try self.members.delete(user, of: id)
            try self.saveRow(row, revision: write.revision, slot)
        case .update(let record):
            var row = try self.row(of: write.conversation)
            row.record.takeProperties(of: record)
            try self.saveRow(row, revision: write.revision, slot)
        case .skip:
            try self.saveRow(try self.row(of: write.conversation), revision: write.revision, slot)
        case .end(let time):
            var row = try self.row(of: write.conversation)
            if row.record.endedAt == nil { row.record.endedAt = time }
            row.record.updatedAt = time
            try self.saveRow(row, revision: write.revision, slot)
        }
    }

    /// Records what is found by annotations of a posted message.
    private func record(
        _ annotations: MessageAnnotations, of message: Message, in conversation: Int
    ) throws(StorageFault) {
        if let reply = annotations.reply {
            try self.replies.insert(message.sequence, in: reply.thread, of: conversation)
        }
        if let mentions = annotations.mentions {
            try self.mentions.insert(mentions, of: message, in: conversation)
        }
        if message.isPinned { try self.pins.update(message, of: conversation) }
    }

    private func amend(_ message: Message, revision: Revision, _ slot: UInt32) throws(StorageFault)
    {
        let cached = self.conversationCache[slot]
        let oldest = self.options.oldest(retainedFrom: cached.retainedFrom, head: cached.head)
        guard message.sequence >= oldest else {
            return try self.amendTrimmed(message, revision: revision, of: cached.id)
        }
        let position = try self.position(of: message.sequence, in: cached)
        let stored = try self.messages.message(
            at: position, of: cached.id, sequence: message.sequence)
        guard stored.state != .deleted else { return }
        let amended = stored.amended(as: message, revision: revision)
        try self.messages.replace(amended, of: cached.id, at: position)
        try self.amendments.put(
            revision, of: message.sequence, in: cached.id, insteadOf: stored.revision)
        try self.pins.update(amended, of: cached.id)
        try self.searchIndex.amend(stored, to: amended, of: cached.id, at: position)
        if amended.state == .deleted {
            try self.deletions.insert(message.sequence, of: cached.id, by: stored.body.author.id)
        }
        if amended.body.annotations?.mentions != stored.body.annotations?.mentions {
            try self.mentions.delete(message.sequence, of: cached.id)
            if let mentions = amended.body.annotations?.mentions {
                try self.mentions.insert(mentions, of: amended, in: cached.id)
            }
        }
    }

    /// Changes the copy in the list of pins: all that is left of a message that is not retained.
    private func amendTrimmed(_ message: Message, revision: Revision, of conversation: Int)
        throws(StorageFault)
    {
        var message = message
        message.revision = revision
        let stored = try self.pins.message(message.sequence, of: conversation)
        try self.pins.update(
            stored?.amended(as: message, revision: revision) ?? message, of: conversation)
    }

    private func position(of sequence: SequenceNumber, in cached: CachedConversation)
        throws(StorageFault) -> Int
    {
        let window = sequence..<sequence + 1
        var entry = self.transactionEntries.last {
            $0.conversation == cached.id && $0.sequence == sequence
        }
        if entry == nil { entry = self.unindexed.entries(of: cached.id, in: window).first }
        if entry == nil { entry = try self.messageIndex.entries(of: cached.id, in: window).first }
        guard let entry else {
            throw .damaged("message \(sequence) of conversation \(cached.id) is missing")
        }
        return entry.position
    }

    /// The conversation's row, updated with what its newest message has changed since the row was
    /// written.
    private func row(of key: ConversationKey) throws(StorageFault) -> StoredConversation {
        guard let slot = self.conversationCache.slot(of: key),
            var row = try self.conversations.conversation(key),
            row.id == self.conversationCache[slot].id
        else {
            throw .damaged("the row of conversation \(key) is missing")
        }
        row.record.updatedAt = self.conversationCache[slot].updatedAt
        row.revision = self.conversationCache[slot].revision
        return row
    }

    private func saveRow(_ row: StoredConversation, revision: Revision, _ slot: UInt32)
        throws(StorageFault)
    {
        var row = row
        row.revision = revision
        try self.conversations.replace(row)
        self.conversationCache.update(slot) { cached in
            cached.revision = revision
            cached.updatedAt = row.record.updatedAt
            cached.retainedFrom = row.retainedFrom
        }
    }

    /// Deletes messages that are no longer readable, in batches, because each can be on a page of
    /// its own.
    ///
    /// Only indexed messages are deleted, so that `places` never refers to a deleted message.
    private func trim(_ slot: UInt32) throws(StorageFault) {
        let cached = self.conversationCache[slot]
        let step = self.options.trimStep
        let oldest = self.options.oldest(retainedFrom: cached.retainedFrom, head: cached.head)
        var next = cached.head + step
        if oldest - cached.retainedFrom >= step {
            do {
                if try self.deleteMessages(below: oldest, slot) == Self.messagesPerTrim {
                    next = cached.head + 1
                }
            } catch .damaged {
                // The new message itself is stored; an unreadable row stays in the file.
            }
        } else {
            next = cached.head + step - (oldest - cached.retainedFrom)
        }
        self.conversationCache.update(slot) { $0.nextTrimHead = next }
    }

    /// The maximum number of messages deleted at a time, larger than the number that arrive in
    /// between.
    private static let messagesPerTrim = 512

    private func deleteMessages(below oldest: SequenceNumber, _ slot: UInt32) throws(StorageFault)
        -> Int
    {
        let cached = self.conversationCache[slot]
        let entries = try self.messageIndex.entries(
            of: cached.id, in: 0..<oldest, limit: Self.messagesPerTrim)
        guard let last = entries.last,
            var row = try self.conversations.conversation(self.conversationCache.key(slot))
        else { return 0 }
        row.record.updatedAt = cached.updatedAt
        row.retainedFrom = last.sequence + 1
        for entry in entries where try !self.searchIndex.retain(entry.position) {
            try self.messages.delete(at: entry.position)
        }
        try self.messageIndex.delete(of: cached.id, below: row.retainedFrom)
        try self.amendments.delete(of: cached.id, below: row.retainedFrom)
        try self.deletions.delete(of: cached.id, below: row.retainedFrom)
        try self.replies.delete(of: cached.id, below: row.retainedFrom)
        try self.mentions.delete(of: cached.id, below: row.retainedFrom)
        try self.saveRow(row, revision: cached.revision, slot)
        return entries.count
    }
}
