import Bytes
import ChatModel

/// The newest change and message that any subscriber has received, as far as the owner knows.
struct PublishedThrough: Sendable, Equatable {
    var revision: Revision = 0
    var head: SequenceNumber = 0

    mutating func record(_ revision: Revision, head: SequenceNumber = 0) {
        self.revision = max(self.revision, revision)
        self.head = max(self.head, head)
    }
}

/// Decides what an owner does about a store that may have lost acknowledged changes: a pure
/// function of what the owner retains, what others offer, what the store holds and what subscribers
/// have received.
///
/// If the store has another history under the same numbers, the store's history stays, and the
/// changes that it lacks are appended under the next numbers.
struct Recovery: Sendable {
    enum RecoveryVerdict: Sendable {
        /// Up to `limit` messages above this one must be read.
        case read(after: SequenceNumber, limit: Int, isNewestOnly: Bool)
        /// Changes are missing that other loops may have retained.
        case awaitHolders
        /// The store has all changes once those of this history are written.
        case rewrite(RecoveredHistory)
    }

    let own: [RetainedWrite]
    /// The owner's changes up to this revision come from more than one history.
    let mixedThrough: Revision
    let offered: [[RetainedWrite]]
    /// What the store holds, as it was loaded.
    let stored: HistoryState
    let published: PublishedThrough
    /// A message to append may already be stored under a lower number of another history, by at
    /// most this difference.
    let margin: Int
    /// Other loops may still offer what they retain.
    let mayAwaitHolders: Bool
    let now: Timestamp

    /// The verdict before any message was read.
    ///
    /// If only this owner has retained changes, and all are of one history, the newest message is
    /// enough: if it matches, all earlier ones match. If no message is retained, the newest stored
    /// ones are read. With an empty page, every message would count as older than the stored ones.
    func verdict(newestSuffices: Bool = true) -> RecoveryVerdict {
        let newest = self.own.last { $0.message != nil && $0.revision <= self.stored.revision }
        let newestNumber = newest?.message?.sequence ?? self.stored.head
        // The store's head covers the number of a retained message that the store lacks: another
        // owner has used the number.
        let isTaken = self.own.contains {
            $0.revision > self.stored.revision && ($0.posted?.sequence ?? .max) <= self.stored.head
        }
        let isNewestOnly =
            newestSuffices && self.offered.isEmpty && !isTaken
            && (newest?.revision ?? .max) > self.mixedThrough && newestNumber <= self.stored.head
        let oldest =
            isNewestOnly
            ? newestNumber
            : (self.offered + [self.own]).joined().lazy.compactMap(\.message?.sequence).min()
                ?? self.stored.head
        let first = max(1, min(oldest, self.stored.head + 1) - (isNewestOnly ? 0 : self.margin))
        guard first <= self.stored.head else {
            let page = MessagePage(
                messages: [], head: self.stored.head, oldest: 1, revision: self.stored.revision)
            return self.verdict(page, isNewestOnly: isNewestOnly)
        }
        return .read(
            after: first - 1, limit: isNewestOnly ? 1 : self.stored.head - first + 1,
            isNewestOnly: isNewestOnly)
    }

    /// The verdict with the stored messages that correspond to retained ones.
    func verdict(_ page: MessagePage, isNewestOnly: Bool) -> RecoveryVerdict {
        let reconciliation = HistoryReconciliation(
            own: self.own, offered: self.offered, state: self.stored,
            messages: StoredMessageIndex(page, isWhole: !isNewestOnly))
        if isNewestOnly, !self.offered.isEmpty || !reconciliation.displaced.isEmpty {
            return self.verdict(newestSuffices: false)
        }
        if self.mayAwaitHolders, reconciliation.isIncomplete(through: self.published.revision) {
            return .awaitHolders
        }
        return .rewrite(
            RecoveredHistory(
                reconciliation, own: self.own, isMixed: !self.offered.isEmpty,
                published: self.published, at: self.now))
    }
}
