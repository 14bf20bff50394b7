import ChatCore
import ChatModel

/// Names a conversation that a loop listens to, while it does.
public struct FeedID: Sendable, Hashable {
    public let slot: UInt32
    let generation: UInt32
}

/// One conversation as a loop hears it: what came last, what came too early, who listens.
///
/// The owner numbers every durable change; this sees to it that the listeners get each once and in order.
struct Feed: Sendable {
    enum State: Sendable {
        /// Nobody has come in yet: what is said before the first answer is in that answer.
        case opening
        case live
        /// Something was missed: the owner has been asked, or the store.
        case repairing
    }

    /// What is to be done with something that came.
    enum Verdict {
        case deliver
        /// It has been shown already.
        case drop
        /// It came too early and is kept; whether a repair has to begin.
        case hold(repair: Bool)
    }

    let key: ConversationKey
    var owner: OwnerID
    var state: State = .opening
    /// The newest change and message shown.
    var revision: Revision = 0
    var shownThrough: SequenceNumber = 0
    /// The newest message of which the owner was told that somebody has it.
    var reportedThrough: SequenceNumber = 0
    private(set) var early: [Revision: (ChatEvent, answering: RequestID)] = [:]
    /// Who listens, with the number of connections.
    var present: [UserID: (person: Person, connections: Int)] = [:]
    /// Whom the loop was told to be online; empty in a crowd.
    var heard: [UserID: Person] = [:]
    /// Listeners and entrances under way: while there are any, the feed is kept.
    var listeners = 0
    static let earlyLimit = 1024

    init(key: ConversationKey, owner: OwnerID) {
        self.key = key
        self.owner = owner
    }

    /// Judges a change by its revision.
    mutating func judge(_ event: ChatEvent, revision: Revision, answering: RequestID) -> Verdict {
        switch self.state {
        case .opening:
            return .drop
        case .live, .repairing:
            if revision <= self.revision { return .drop }
            if revision == self.revision + 1, case .live = self.state { return .deliver }
            // At the bound what came early is forgotten; the repair reads it from the store.
            if self.early.count < Self.earlyLimit { self.early[revision] = (event, answering) }
            if case .repairing = self.state { return .hold(repair: false) }
            return .hold(repair: true)
        }
    }

    var hasEarly: Bool { !self.early.isEmpty }

    /// The first answer: from here on everything is heard.
    mutating func open(with entered: Entered) {
        self.state = .live
        self.revision = entered.revision
        self.shownThrough = entered.head
        for change in entered.present { self.heard[change.person.id] = change.person }
    }

    /// What listeners have to be told for them to know what the owner says of who is there.
    mutating func presenceChanges(towards entered: Entered, at now: Moment) -> [PresenceChange] {
        guard !entered.isCrowd else {
            self.heard = [:]
            return []
        }
        let online = Set(entered.present.map(\.person.id))
        let gone = self.heard.values.filter { !online.contains($0.id) }.sorted { $0.id < $1.id }
        let changes =
            gone.map { PresenceChange(person: $0, isOnline: false, at: now.wall) } + entered.present.filter { self.heard[$0.person.id] == nil }
        self.note(changes)
        return changes
    }

    /// The next change, if it came early.
    mutating func takeNext() -> (ChatEvent, answering: RequestID)? {
        guard !self.early.isEmpty else { return nil }
        return self.early.removeValue(forKey: self.revision + 1)
    }

    /// A repair has shown everything up to here: what is left of the early ones is in it, or follows it.
    mutating func forget(through revision: Revision) -> [(ChatEvent, answering: RequestID)] {
        let covered = self.early.filter { $0.key <= revision }.sorted { $0.key < $1.key }
        for (revision, _) in covered { self.early[revision] = nil }
        return covered.map(\.value)
    }

    /// Notes what a presence event says.
    mutating func note(_ changes: [PresenceChange]) {
        for change in changes { self.heard[change.person.id] = change.isOnline ? change.person : nil }
    }
}
