import Bytes
import ChatModel

/// Writes changes again that the store has lost.
extension Conversation {
    /// Writes again what the store, as just loaded, lacks. All inputs wait until it is stored.
    mutating func writeMissing(
        _ reconciliation: HistoryReconciliation, _ page: MessagePage, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        var displaced: [RetainedWrite] = []
        var stored = StoredMessageIndex(page)
        self.lastSentAt = max(self.lastSentAt, stored.lastSentAt)
        for (index, missing) in reconciliation.missing.enumerated() {
            let next = reconciliation.missing[index...].lazy.compactMap(\.posted).first
            self.fillGaps(
                below: missing.revision, head: next.map { $0.sequence - 1 } ?? self.publishedHead,
                sentAt: next?.sentAt, at: now, into: &effects)
            if let message = missing.message {
                // A message that was sent twice while the recent messages were unknown is written
                // once. An amended message may have got another number.
                let isDisplaced =
                    missing.posted != nil
                    ? message.sequence != self.head + 1 || stored.hasSend(of: message)
                    : stored.isDisplaced(message)
                if isDisplaced {
                    displaced.append(missing)
                    continue
                }
                stored.record(message)
            }
            self.rewrite(missing.change, at: now, into: &effects)
            self.recovery.counts.inPlace += 1
        }
        // A message comes before its edits and its deletion, even if other loops retained them.
        displaced = (displaced + reconciliation.displaced).sorted { $0.revision < $1.revision }
        let firstMoved = displaced.lazy.compactMap(\.posted?.sequence).min() ?? .max
        for (index, change) in displaced.enumerated() {
            let later = displaced[index...].dropFirst()
            self.appendDisplaced(
                change.change, followedBy: later, &stored, firstMoved: firstMoved, at: now,
                into: &effects)
        }
        self.fillGaps(
            below: self.publishedRevision + 1, head: self.publishedHead, sentAt: nil, at: now,
            into: &effects)
    }

    private mutating func rewrite(
        _ change: Write.Change, at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        self.revision += 1
        var change = change
        switch change {
        case .create(let record): self.record = record
        case .message(var message):
            self.head = message.sequence
            self.lastSentAt = max(self.lastSentAt, message.sentAt.milliseconds)
            message.revision = self.revision
            change = .message(message)
            if let root = message.body.annotations?.reply?.thread {
                self.threadRoots.record(root, of: self.head, storedHead: self.storedHead)
            }
        case .amend(var message, let amendment, let time):
            message.revision = self.revision
            change = .amend(message, amendment, at: time)
            self.recordAmended(message)
            self.recovery.needsReattach = true
        case .member(var member):
            member = self.members.withKnownCursors(member)
            _ = self.members.insert(member, isMember: true)
            change = .member(member)
        case .remove(let user):
            if let number = self.members.memberNumber(of: user) { self.members.remove(number) }
            // A subscriber that is no longer a member must not receive more.
            self.recovery.needsReattach = true
        case .end(let time):
            self.record?.endedAt = time
            self.recovery.needsReattach = true
        case .cursors, .skip: break
        }
        // Retained before it is stored: if the write fails, the store must still get the change.
        self.retain(change, self.revision, isAcknowledged: true, at: now)
        effects.append(.write(change, revision: self.revision, origin: nil))
    }

    /// Appends a change whose number another history has taken. Does nothing if that history
    /// contains the same change.
    private mutating func appendDisplaced(
        _ change: Write.Change, followedBy later: ArraySlice<RetainedWrite>,
        _ stored: inout StoredMessageIndex, firstMoved: SequenceNumber, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        let rewritten: Write.Change
        switch change {
        case .message(var message):
            // The author's node may have sent it to the other master as well.
            if let number = stored.sequence(of: message) {
                stored.recordMoved(from: message.sequence, to: number)
                return
            }
            stored.recordMoved(from: message.sequence, to: self.head + 1)
            // A message that was deleted later is written without its text, so that the text is
            // never visible again.
            let isDeleted = later.contains {
                $0.message.map { $0.state == .deleted && $0.isSame(as: message) } ?? false
            }
            if isDeleted { message = message.deleted(revision: 0) }
            if let annotations = message.body.annotations {
                message.body = message.body.with(
                    annotations.with(
                        stored.movedReply(annotations.reply, firstMoved: firstMoved)))
            }
            message.sequence = self.head + 1
            message.sentAt = Timestamp(
                milliseconds: max(message.sentAt.milliseconds, self.lastSentAt))
            stored.record(message)
            rewritten = .message(message)
        case .amend(var message, let amendment, let time):
            guard let sequence = stored.sequence(of: message) ?? stored.sequenceIfOlder(message),
                sequence <= self.head
            else {
                // No loop has the message itself any more, only its amended form.
                guard message.state != .deleted else { return }
                message.state = .asSent
                return self.appendDisplaced(
                    .message(message), followedBy: later, &stored, firstMoved: firstMoved, at: now,
                    into: &effects)
            }
            message.sequence = sequence
            if let current = stored[sequence] {
                guard let amended = current.applying(amendment, revision: 0) else { return }
                message = amended
            }
            stored.record(message)
            rewritten = .amend(message, amendment, at: time)
        case .member(let member):
            guard self.members.memberNumber(of: member.user) == nil else { return }
            rewritten = change
        case .remove(let user):
            guard self.members.memberNumber(of: user) != nil else { return }
            rewritten = change
        case .end:
            guard self.record?.endedAt == nil else { return }
            rewritten = change
        case .create:
            guard self.revision == 0 else { return }
            rewritten = change
        case .cursors, .skip:
            return
        }
        self.rewrite(rewritten, at: now, into: &effects)
        self.recovery.counts.moved += 1
    }

    /// Fills the numbers of lost changes, so that no other change gets them.
    ///
    /// - Parameter sentAt: the time of the message that follows, which no earlier message may
    ///   exceed.
    private mutating func fillGaps(
        below revision: Revision, head: SequenceNumber, sentAt: Timestamp?, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        while self.revision + 1 < revision {
            self.recovery.counts.lost += 1
            if self.revision == 0 {
                let record =
                    self.record
                    ?? ConversationRecord(.unknown, creator: nil, createdAt: now.wall)
                self.rewrite(.create(record), at: now, into: &effects)
            } else if self.head < head {
                let filler = MessageBody(
                    author: Person(id: UserID(anonymous: "nobody"), name: "nobody"),
                    clientMessageID: nil, content: "")
                let sentAt = Timestamp(
                    milliseconds: max(self.lastSentAt, (sentAt ?? now.wall).milliseconds))
                let message = Message(
                    sequence: self.head + 1, revision: 0, sentAt: sentAt, state: .deleted,
                    body: filler)
                self.rewrite(.message(message), at: now, into: &effects)
            } else {
                self.rewrite(.skip, at: now, into: &effects)
            }
        }
    }
}
