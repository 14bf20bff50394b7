import Bytes
import ChatModel

/// What the changes of a conversation add up to.
struct HistoryState: Sendable {
    /// Nil while the conversation does not exist.
    var record: ConversationRecord?
    var members = MemberTable()
    /// The pinned messages, oldest pin first.
    var pins: [Message] = []
    var head: SequenceNumber = 0
    var revision: Revision = 0
    /// In milliseconds of the wall clock.
    var lastSentAt: Int64 = 0
}

/// The history in the store, continued with the changes that it lacks.
///
/// Changes above the store's revision keep their numbers. Changes whose numbers another history has
/// taken follow under the next ones. Numbers that subscribers have seen, and whose changes no
/// holder has, are filled, so that no other change gets them.
struct RecoveredHistory: Sendable {
    private(set) var state: HistoryState
    private(set) var messages: StoredMessageIndex
    /// The changes to write, in order. The first has the store's next revision.
    private(set) var changes: [Write.Change] = []
    private(set) var counts = RecoveryCounts()
    /// The owner's changes that the store has.
    private(set) var retained: [RetainedWrite]
    /// The retained changes come from more than one history.
    let isMixed: Bool
    /// The last forms of missing messages, by their numbers.
    private var amendedForms: [SequenceNumber: Message] = [:]
    private let now: Timestamp

    init(
        _ reconciliation: HistoryReconciliation, own: [RetainedWrite], isMixed: Bool,
        published: PublishedThrough, at now: Timestamp
    ) {
        self.state = reconciliation.state
        self.messages = reconciliation.messages
        self.state.lastSentAt = max(self.state.lastSentAt, self.messages.lastSentAt)
        self.retained = reconciliation.stored(of: own)
        self.isMixed = isMixed || !reconciliation.displaced.isEmpty
        self.now = now
        let missing = reconciliation.missing
        for message in missing.compactMap(\.message) {
            self.amendedForms[message.sequence] = message
        }
        var displaced: [RetainedWrite] = []
        for (index, write) in missing.enumerated() {
            let next = missing[index...].lazy.compactMap(\.posted).first
            self.fillGaps(
                below: write.revision, head: next.map { $0.sequence - 1 } ?? published.head,
                sentAt: next?.sentAt)
            if let kept = write.change.kept(in: self) {
                self.write(kept)
                self.counts.inPlace += 1
            } else {
                displaced.append(write)
            }
        }
        // A message comes before its edits and its deletion, even if other loops retained them.
        displaced = (displaced + reconciliation.displaced).sorted { $0.revision < $1.revision }
        let deleted = displaced.compactMap(\.message).filter { $0.state == .deleted }
        self.messages.firstMoved = displaced.lazy.compactMap(\.posted?.sequence).min() ?? .max
        for write in displaced {
            let moved = write.change.withoutText(ofAny: deleted).moved(to: self)
            if let moved {
                self.write(moved)
                self.counts.moved += 1
            }
            if let message = write.posted, let number = self.messages.sequence(of: message) {
                self.messages.recordMoved(from: message.sequence, to: number)
            }
        }
        self.fillGaps(below: published.revision + 1, head: published.head, sentAt: nil)
    }

    /// Subscribers with a displaced change must get what the store has in its place.
    var mustReattach: Bool {
        self.counts.moved > 0 || self.changes.contains { $0.needsReattach }
    }

    private mutating func write(_ change: Write.Change) {
        let change = change.apply(to: &self.state)
        if let message = change.message { self.messages.record(message) }
        self.changes.append(change)
    }

    /// Fills the numbers of lost changes.
    ///
    /// - Parameter sentAt: the time of the message that follows, which no earlier message may
    ///   exceed.
    private mutating func fillGaps(
        below revision: Revision, head: SequenceNumber, sentAt: Timestamp?
    ) {
        while self.state.revision + 1 < revision {
            self.counts.lost += 1
            if self.state.revision == 0 {
                self.write(
                    .create(
                        self.state.record
                            ?? ConversationRecord(.unknown, creator: nil, createdAt: self.now)))
            } else if self.state.head < head {
                self.write(.message(self.filler(sentAt: sentAt ?? self.now)))
            } else {
                self.write(.skip)
            }
        }
    }

    /// The message for the next number: the lost one if a holder has its amended form, or an empty
    /// one.
    private func filler(sentAt: Timestamp) -> Message {
        let number = self.state.head + 1
        if var message = self.amendedForms[number], self.messages.sequence(of: message) == nil {
            if message.state != .deleted { message.state = .asSent }
            return message
        }
        let nobody = Person(id: UserID(anonymous: "nobody"), name: "nobody")
        return Message(
            sequence: number, revision: 0,
            sentAt: Timestamp(milliseconds: max(self.state.lastSentAt, sentAt.milliseconds)),
            state: .deleted, body: MessageBody(author: nobody, clientMessageID: nil, content: ""))
    }
}

extension Write.Change {
    /// A message that was deleted later is written without its text, so that the text is never
    /// visible again.
    fileprivate func withoutText(ofAny deleted: [Message]) -> Write.Change {
        guard let message = self.posted, message.state != .deleted,
            deleted.contains(where: { $0.isSame(as: message) })
        else { return self }
        return .message(message.deleted(revision: 0))
    }
}
