import Bytes
import ChatModel

/// Compares retained changes with the store: what both have, and what the store lacks.
///
/// Two histories with one beginning are equal up to the last change that both have. If the store
/// has another message under a number, or an older version, two masters have accepted writes.
/// Everything after the common part then counts as displaced, even if it cannot be told from the
/// store's.
///
/// A history that was merged from two may match the store again further up, so each message below
/// is checked.
struct HistoryReconciliation {
    enum HistoryMatch { case same, different, unknown }

    /// The store has this many of the owner's changes, except those at `ownLostIndices`.
    private(set) var ownStoredCount: Int
    private(set) var ownLostIndices: [Int] = []
    /// Changes above the store's revision, in order. They are written again under their own
    /// numbers.
    private(set) var missing: [RetainedWrite] = []
    /// Changes whose numbers another history has taken, in the order of each holder.
    private(set) var displaced: [RetainedWrite] = []

    /// The conversation as the store has it.
    let state: HistoryState
    let messages: StoredMessageIndex

    /// - Parameters:
    ///   - state: as the store has it.
    ///   - messages: from the oldest stored one that any change concerns. If only one is to be
    ///     checked, the newest that a change of this owner concerns.
    init(
        own: [RetainedWrite], offered: [[RetainedWrite]], state: HistoryState,
        messages: StoredMessageIndex
    ) {
        self.state = state
        self.messages = messages
        self.ownStoredCount = 0
        let common = self.commonHistory(of: own)
        self.ownStoredCount = common.storedCount
        self.ownLostIndices = common.lost
        var changesByRevision: [Revision: RetainedWrite] = [:]
        for (source, common) in [(own, common)] + offered.map({ ($0, self.commonHistory(of: $0)) })
        {
            self.displaced += common.lost.map { source[$0] }.filter(\.isAcknowledged)
            var isDisplaced = common.isDifferent
            for change in source[common.storedCount...] where change.isAcknowledged {
                if !isDisplaced, let other = changesByRevision[change.revision] {
                    if other.isSame(as: change) { continue }
                    isDisplaced = true
                }
                if isDisplaced {
                    self.displaced.append(change)
                } else {
                    changesByRevision[change.revision] = change
                }
            }
        }
        self.missing = changesByRevision.values.sorted { $0.revision < $1.revision }
    }

    /// How many of a holder's changes the store has, which of those it lacks, and whether it has
    /// others in place of the rest.
    private func commonHistory(of changes: [RetainedWrite]) -> (
        storedCount: Int, lost: [Int], isDifferent: Bool
    ) {
        var isDifferent = false
        for index in changes.indices.reversed() {
            guard changes[index].revision <= self.state.revision else { continue }
            switch self.match(changes[index]) {
            case .same:
                let lost = changes[..<index].indices.filter {
                    self.match(changes[$0]) == .different
                }
                return (isDifferent ? index + 1 : self.indexAboveStored(changes), lost, isDifferent)
            case .different: isDifferent = true
            case .unknown: break
            }
        }
        return (isDifferent ? 0 : self.indexAboveStored(changes), [], isDifferent)
    }

    /// The index of the first change above the store's revision.
    private func indexAboveStored(_ changes: [RetainedWrite]) -> Int {
        changes.firstIndex { $0.revision > self.state.revision } ?? changes.count
    }

    private func match(_ write: RetainedWrite) -> HistoryMatch {
        write.change.match(write.revision, in: self.state, self.messages)
    }

    /// The owner's changes that the store has, so that retries are answered from the store.
    func stored(of own: [RetainedWrite]) -> [RetainedWrite] {
        own.prefix(self.ownStoredCount).indices.filter { !self.ownLostIndices.contains($0) }.map {
            var write = own[$0]
            write.isAcknowledged = true
            return write
        }
    }

    /// Whether no holder has all changes above the store's revision, up to this one.
    func isIncomplete(through revision: Revision) -> Bool {
        let last = self.missing.last?.revision ?? self.state.revision
        return last > self.state.revision + self.missing.count
            || revision > max(last, self.state.revision) + self.displaced.count
    }
}
