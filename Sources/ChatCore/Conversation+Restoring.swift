import Bytes
public import ChatModel

/// A change that the store has said it has, and may forget all the same: a Redis that lost a failover, or its last second.
struct HeldChange: Sendable {
    let revision: Revision
    let change: Write.Change
    let storedAt: Int64
}

/// What an owner does when the store has forgotten something that was answered: it writes it again, under the same numbers.
///
/// What is so old that it is not held any more, or was another owner's, nobody has: its numbers were seen, and are never used for
/// something else. A message that is lost like this becomes an empty, deleted one.
extension Conversation {
    /// The store has a change. Of a store that does not forget nothing is held.
    public mutating func hold(_ change: Write.Change, _ revision: Revision, at now: Moment) {
        guard self.rules.hold > 0, revision > self.held.last?.revision ?? 0 else { return }
        let half = self.held.count / 2
        if half >= 16, self.held[half].storedAt < now.monotonic - self.rules.hold { self.held.removeFirst(half) }
        self.held.append(HeldChange(revision: revision, change: change, storedAt: now.monotonic))
    }

    /// As `hold`, of what holds now: what was held under the same number or a later one has come to nothing.
    mutating func holdInstead(_ change: Write.Change, _ revision: Revision, at now: Moment) {
        guard self.rules.hold > 0, self.restoringThrough == 0 else { return }
        while let last = self.held.last, last.revision >= revision { self.held.removeLast() }
        self.hold(change, revision, at: now)
    }

    /// The store may be another than before: what it has is looked at again, where something could be missing.
    public mutating func compare(at now: Moment, into effects: inout [ConversationEffect]) {
        guard let last = self.held.last, last.storedAt >= now.monotonic - self.rules.hold else { return }
        effects.append(.mistrust)
    }

    /// What is known of the store's side is not true any more, and is asked for at once.
    public mutating func reload(into effects: inout [ConversationEffect]) {
        guard self.knowledge == .nothing else { return }
        self.knowledge = .loading
        effects.append(.load)
    }

    /// A loop that listens has seen a change that this owner knows nothing of: either this owner slept while another was it, or the store
    /// has forgotten. Whether the one or the other, the store says.
    mutating func isBehind(_ attachment: Attachment) -> Bool {
        guard self.rules.hold > 0, attachment.revision > self.revision else { return false }
        self.toldRevision = max(self.toldRevision, attachment.revision)
        self.toldHead = max(self.toldHead, attachment.through)
        return true
    }

    /// Writes again what the store, as it was just loaded, has lost; until it is stored everything waits.
    ///
    /// - Parameter before: the conversation as it was known before.
    mutating func restore(_ before: ConversationRecord?, at now: Moment, into effects: inout [ConversationEffect]) {
        let lost = self.held.filter { $0.revision > self.storedRevision }
        for (place, held) in lost.enumerated() {
            let nextMessage = lost[place...].lazy.compactMap { $0.change.sequenceOfMessage }.first
            self.fill(below: held.revision, head: nextMessage.map { $0 - 1 } ?? self.toldHead, before, at: now, into: &effects)
            self.restore(held.change, into: &effects)
        }
        self.fill(below: self.toldRevision + 1, head: self.toldHead, before, at: now, into: &effects)
        self.restoringThrough = self.revision
    }

    private mutating func restore(_ change: Write.Change, into effects: inout [ConversationEffect]) {
        self.revision += 1
        switch change {
        case .create(let record): self.record = record
        case .message(let message):
            self.head = message.sequence
            var message = message
            message.revision = self.revision
            effects.append(.write(.message(message), revision: self.revision, asked: nil))
            return
        case .member(let member): _ = self.members.insert(member, isMember: true)
        case .remove(let user): if let number = self.members.member(user) { self.members.remove(number) }
        case .end(let time): self.record?.endedAt = time
        case .amend, .cursors, .skip: break
        }
        effects.append(.write(change, revision: self.revision, asked: nil))
    }

    /// Takes the numbers of changes that nobody has any more, so that no other gets them.
    private mutating func fill(
        below revision: Revision, head: SequenceNumber, _ before: ConversationRecord?, at now: Moment,
        into effects: inout [ConversationEffect]
    ) {
        while self.revision + 1 < revision {
            if self.revision == 0 {
                self.restore(.create(before ?? ConversationRecord(access: .closed, creator: nil, createdAt: now.wall)), into: &effects)
            } else if self.head < head {
                let nobody = MessageBody(author: Person(id: UserID(anonymous: "nobody"), name: "nobody"), clientID: nil, content: "")
                let message = Message(sequence: self.head + 1, revision: 0, sentAt: now.wall, state: .deleted, body: nobody)
                self.restore(.message(message), into: &effects)
            } else {
                self.restore(.skip, into: &effects)
            }
        }
    }
}

extension Write.Change {
    fileprivate var sequenceOfMessage: SequenceNumber? {
        if case .message(let message) = self { message.sequence } else { nil }
    }
}
