import Bytes
import ChatModel

/// A change that has its revision and waits for the store.
struct PendingChange: Sendable {
    enum Kind: Sendable {
        case created
        case posted(Message)
        case amended(Message)
        case member(UInt32, isArrival: Bool)
        case left(Member, at: Timestamp)
        case ended(by: UserID, at: Timestamp)
    }

    let revision: Revision
    let kind: Kind
    let origin: Origin?
    /// Sends that repeat this one and came while it was on its way.
    var repeats: [Origin] = []

    var askers: [Origin] { (self.origin.map { [$0] } ?? []) + self.repeats }
}

/// What is on its way to the store, oldest first.
struct PendingChanges: Sendable {
    private var changes: [PendingChange] = []
    private var first = 0

    var isEmpty: Bool { self.first == self.changes.count }

    mutating func append(_ change: PendingChange) {
        self.changes.append(change)
    }

    /// The oldest one, if it is not above this revision.
    mutating func popFirst(through revision: Revision) -> PendingChange? {
        guard self.first < self.changes.count, self.changes[self.first].revision <= revision else { return nil }
        let change = self.changes[self.first]
        self.first += 1
        if self.first == self.changes.count {
            self.changes.removeAll(keepingCapacity: self.changes.count <= 64)
            self.first = 0
        } else if self.first >= 1024 {
            self.changes.removeFirst(self.first)
            self.first = 0
        }
        return change
    }

    /// The message with this number, while it is on its way; `asker` gets its answer too.
    mutating func message(_ sequence: SequenceNumber, from user: UserID, client: ClientID, asker: Origin) -> Bool {
        for place in self.first..<self.changes.count {
            guard case .posted(let message) = self.changes[place].kind, message.sequence == sequence else { continue }
            guard message.body.author.id == user, message.body.clientID == client else { return false }
            // The same loop asking again under the same number would get two answers.
            if !self.changes[place].askers.contains(asker) { self.changes[place].repeats.append(asker) }
            return true
        }
        return false
    }

    /// Whether this member's coming is on its way; then `asker` is answered with it.
    mutating func arrival(of number: UInt32, asker: Origin) -> Bool {
        for place in self.first..<self.changes.count {
            if case .member(number, isArrival: true) = self.changes[place].kind {
                if !self.changes[place].askers.contains(asker) { self.changes[place].repeats.append(asker) }
                return true
            }
        }
        return false
    }

    /// Whether the deletion of this message is on its way.
    func deletes(_ sequence: SequenceNumber) -> Bool {
        self.changes[self.first...].contains { change in
            if case .amended(let message) = change.kind { message.sequence == sequence && message.state == .deleted } else { false }
        }
    }
}
