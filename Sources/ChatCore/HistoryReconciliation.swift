import Bytes
import ChatModel

/// What holders of changes and the store have in common, and what the store lacks.
///
/// Two histories with one beginning are equal up to the last change that both have. Where the store has another message under a number, or
/// an older version, two masters have written: then whatever follows the common part has come to nothing, whether or not it can be told from
/// the store's. A history that was put together from two may have more in common with the store further up: each message below is looked at.
struct HistoryReconciliation {
    enum HistoryMatch { case same, different, unknown }

    /// So many of the owner's own changes are in the store.
    private(set) var ownStoredCount: Int
    /// But for these of them, by their places.
    private(set) var ownLostIndices: [Int] = []
    /// What is missing above the store's revision, by revision: it is written again under the numbers that it has.
    private(set) var missing: [RetainedWrite] = []
    /// What another history has taken the numbers of, each holder's in order.
    private(set) var displaced: [RetainedWrite] = []

    private let record: ConversationRecord?
    private let messages: [SequenceNumber: Message]
    /// What lies outside was not read, or is kept no more.
    private let coveredSequences: ClosedRange<SequenceNumber>
    private let storedRevision: Revision

    /// - Parameters:
    ///   - record: what the store has of the conversation itself.
    ///   - page: what the store has from the oldest message on of which any of the changes is, or from the newest on of which one of the
    ///     owner's own is, when that one alone is to be looked at.
    ///   - stored: the store's revision.
    ///   - isWhole: whether the page has all that follows as well.
    init(
        own: [RetainedWrite], offered: [[RetainedWrite]], record: ConversationRecord?,
        page: MessagePage, isWhole: Bool, storedRevision stored: Revision
    ) {
        self.record = record
        self.messages = Dictionary(page.messages.map { ($0.sequence, $0) }) { $1 }
        let first = page.messages.first?.sequence ?? page.head + 1
        self.coveredSequences =
            first...(isWhole ? .max : max(first, page.messages.last?.sequence ?? 0))
        self.storedRevision = stored
        self.ownStoredCount = 0
        let common = self.commonHistory(of: own)
        self.ownStoredCount = common.kept
        self.ownLostIndices = common.lost
        var taken: [Revision: RetainedWrite] = [:]
        for (source, common) in [(own, common)] + offered.map({ ($0, self.commonHistory(of: $0)) })
        {
            self.displaced += common.lost.map { source[$0] }.filter(\.isAcknowledged)
            var isDisplaced = common.isOther
            for change in source[common.kept...] where change.isAcknowledged {
                if !isDisplaced, let other = taken[change.revision] {
                    if other.isSame(as: change) { continue }
                    isDisplaced = true
                }
                if isDisplaced {
                    self.displaced.append(change)
                } else {
                    taken[change.revision] = change
                }
            }
        }
        self.missing = taken.values.sorted { $0.revision < $1.revision }
    }

    /// How many of a holder's changes the store has, but for the lost ones, and whether it has others instead of the rest.
    private func commonHistory(of changes: [RetainedWrite]) -> (
        kept: Int, lost: [Int], isOther: Bool
    ) {
        var isOther = false
        for place in changes.indices.reversed() {
            guard changes[place].revision <= self.storedRevision else { continue }
            switch self.match(changes[place]) {
            case .same:
                let lost = changes[..<place].indices.filter {
                    self.match(changes[$0]) == .different
                }
                return (isOther ? place + 1 : self.indexAboveStored(changes), lost, isOther)
            case .different: isOther = true
            case .unknown: break
            }
        }
        return (isOther ? 0 : self.indexAboveStored(changes), [], isOther)
    }

    /// Where what lies above the store's revision begins.
    private func indexAboveStored(_ changes: [RetainedWrite]) -> Int {
        changes.firstIndex { $0.revision > self.storedRevision } ?? changes.count
    }

    func match(_ held: RetainedWrite) -> HistoryMatch {
        if case .create(let made) = held.change, let record = self.record {
            return made.createdAt == record.createdAt && made.creator == record.creator
                ? .same : .different
        }
        if case .end = held.change, let record = self.record {
            return record.endedAt == nil ? .different : .unknown
        }
        guard let message = held.message, self.coveredSequences.contains(message.sequence) else {
            return .unknown
        }
        guard let stored = self.messages[message.sequence], stored.isSame(as: message) else {
            return .different
        }
        if held.posted != nil || stored.revision == held.revision { return .same }
        // What is deleted stays deleted, whatever else was wanted. A later edit may follow upon this one, or be of another history.
        if stored.state == .deleted { return .unknown }
        return stored.revision > held.revision && message.state != .deleted ? .unknown : .different
    }

    /// Whether nobody has all that was written above the store's revision, up to this one.
    func isIncomplete(through told: Revision) -> Bool {
        let last = self.missing.last?.revision ?? self.storedRevision
        return last > self.storedRevision + self.missing.count
            || told > max(last, self.storedRevision) + self.displaced.count
    }
}
