public import ChatModel

/// A change that the store has acknowledged and may still lose, as Redis may at a failover, or with
/// its last second of data.
///
/// A change is retained as soon as it is sent to the store, because other nodes may receive it
/// before its owner learns that it is stored. Only acknowledged changes are ever written again: the
/// sender of any other may have got the answer that it is not stored.
public struct RetainedWrite: Sendable {
    public let revision: Revision
    public let change: Write.Change
    /// A monotonic millisecond of the loop that retains it; for a change from another loop, the
    /// time of its arrival.
    let storedAt: Int64
    /// The store has acknowledged the change, or had it when it was looked up.
    var isAcknowledged: Bool

    public init(
        revision: Revision, change: Write.Change, storedAt: Int64, isAcknowledged: Bool = true
    ) {
        self.revision = revision
        self.change = change
        self.storedAt = storedAt
        self.isAcknowledged = isAcknowledged
    }

    var message: Message? { self.change.message }
    var posted: Message? { self.change.posted }

    /// Whether both are one change of one history. Changes that cannot be told apart count as one.
    func isSame(as other: RetainedWrite) -> Bool {
        guard self.revision == other.revision, (self.posted == nil) == (other.posted == nil) else {
            return false
        }
        guard let mine = self.message, let others = other.message else {
            return self.message == nil && other.message == nil
        }
        return mine.sequence == others.sequence && mine.isSame(as: others)
    }
}

extension Message {
    /// Whether both are one message, whatever became of its text. Messages that got one number from
    /// two masters differ.
    func isSame(as other: Message) -> Bool {
        guard self.sequence == other.sequence && self.sentAt == other.sentAt else { return false }
        // Usually both are one object, which needs no comparison.
        return self.body === other.body
            || self.body.author.id == other.body.author.id
                && self.body.clientMessageID == other.body.clientMessageID
    }
}

extension Message {
    /// Whether both have the same text, reactions and pin.
    func looks(like other: Message) -> Bool {
        let (mine, others) = (self.body.annotations, other.body.annotations)
        return self.state == other.state && self.body.content == other.body.content
            && mine?.reactions == others?.reactions && mine?.pin == others?.pin
    }
}

/// The changes that owners had to recover because their store had lost them.
public struct RecoveryCounts: Sendable, Equatable {
    /// Written again under the same numbers.
    public var inPlace = 0
    /// Appended under the next numbers, because the store had other changes under theirs.
    public var moved = 0
    /// No loop had them any more: empty messages or skipped revisions have taken their numbers.
    public var lost = 0

    public init() {}

    public static func += (sum: inout Self, other: Self) {
        sum.inPlace += other.inPlace
        sum.moved += other.moved
        sum.lost += other.lost
    }
}
