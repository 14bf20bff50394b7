import Bytes
import ChatModel

/// What holders of changes and the store have in common, and what the store lacks.
///
/// Two histories with one beginning are equal up to the last change that both have. Where the store has another message under a number, or
/// an older version, two masters have written: then whatever follows the common part has come to nothing, whether or not it can be told from
/// the store's. A history that was put together from two may have more in common with the store further up: each message below is looked at.
struct StoreComparison {
    enum Verdict { case same, other, unknown }

    /// So many of the owner's own changes are in the store.
    private(set) var ownKept: Int
    /// But for these of them, by their places.
    private(set) var ownLost: [Int] = []
    /// What is missing above the store's revision, by revision: it is written again under the numbers that it has.
    private(set) var missing: [HeldChange] = []
    /// What another history has taken the numbers of, each holder's in order.
    private(set) var displaced: [HeldChange] = []

    private let record: ConversationRecord?
    private let messages: [SequenceNumber: Message]
    /// What lies outside was not read, or is kept no more.
    private let covered: ClosedRange<SequenceNumber>
    private let stored: Revision

    /// - Parameters:
    ///   - record: what the store has of the conversation itself.
    ///   - page: what the store has from the oldest message on of which any of the changes is, or from the newest on of which one of the
    ///     owner's own is, when that one alone is to be looked at.
    ///   - stored: the store's revision.
    ///   - isWhole: whether the page has all that follows as well.
    init(own: [HeldChange], offered: [[HeldChange]], record: ConversationRecord?, page: Page, isWhole: Bool, stored: Revision) {
        self.record = record
        self.messages = Dictionary(page.messages.map { ($0.sequence, $0) }) { $1 }
        let first = page.messages.first?.sequence ?? page.head + 1
        self.covered = first...(isWhole ? .max : max(first, page.messages.last?.sequence ?? 0))
        self.stored = stored
        self.ownKept = 0
        let common = self.common(own)
        self.ownKept = common.kept
        self.ownLost = common.lost
        var taken: [Revision: HeldChange] = [:]
        for (source, common) in [(own, common)] + offered.map({ ($0, self.common($0)) }) {
            self.displaced += common.lost.map { source[$0] }.filter(\.isAcknowledged)
            var isDisplaced = common.isOther
            for change in source[common.kept...] where change.isAcknowledged {
                if !isDisplaced, let other = taken[change.revision] {
                    if other.isSame(as: change) { continue }
                    isDisplaced = true
                }
                if isDisplaced { self.displaced.append(change) } else { taken[change.revision] = change }
            }
        }
        self.missing = taken.values.sorted { $0.revision < $1.revision }
    }

    /// How many of a holder's changes the store has, but for the lost ones, and whether it has others instead of the rest.
    private func common(_ changes: [HeldChange]) -> (kept: Int, lost: [Int], isOther: Bool) {
        var isOther = false
        for place in changes.indices.reversed() {
            guard changes[place].revision <= self.stored else { continue }
            switch self.verdict(changes[place]) {
            case .same:
                let lost = changes[..<place].indices.filter { self.verdict(changes[$0]) == .other }
                return (isOther ? place + 1 : self.firstAbove(changes), lost, isOther)
            case .other: isOther = true
            case .unknown: break
            }
        }
        return (isOther ? 0 : self.firstAbove(changes), [], isOther)
    }

    /// Where what lies above the store's revision begins.
    private func firstAbove(_ changes: [HeldChange]) -> Int {
        changes.firstIndex { $0.revision > self.stored } ?? changes.count
    }

    func verdict(_ held: HeldChange) -> Verdict {
        if case .create(let made) = held.change, let record = self.record {
            return made.createdAt == record.createdAt && made.creator == record.creator ? .same : .other
        }
        if case .end = held.change, let record = self.record { return record.endedAt == nil ? .other : .unknown }
        guard let message = held.message, self.covered.contains(message.sequence) else { return .unknown }
        guard let stored = self.messages[message.sequence], stored.isSame(as: message) else { return .other }
        if held.posted != nil || stored.revision == held.revision { return .same }
        // What is deleted stays deleted, whatever else was wanted. A later edit may follow upon this one, or be of another history.
        if stored.state == .deleted { return .unknown }
        return stored.revision > held.revision && message.state != .deleted ? .unknown : .other
    }

    /// Whether nobody has all that was written above the store's revision, up to this one.
    func lacksSome(through told: Revision) -> Bool {
        let last = self.missing.last?.revision ?? self.stored
        return last > self.stored + self.missing.count || told > max(last, self.stored) + self.displaced.count
    }
}
