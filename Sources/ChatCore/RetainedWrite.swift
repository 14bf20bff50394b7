public import ChatModel

/// A change that the store has said it has, and may forget all the same: a Redis that lost a failover, or its last second.
///
/// A change is held from the moment at which it leaves for the store, because other nodes may hear of it before its owner learns that it is
/// stored. Only an acknowledged one is ever written again: the sender of any other may have been told that it is not stored.
public struct RetainedWrite: Sendable {
    public let revision: Revision
    public let change: Write.Change
    /// A monotonic millisecond of whoever holds it; for one that came from another loop, of when it came.
    let storedAt: Int64
    /// The store has said that it has it, or has had it when it was looked up.
    var isAcknowledged: Bool

    public init(
        revision: Revision, change: Write.Change, storedAt: Int64, isAcknowledged: Bool = true
    ) {
        self.revision = revision
        self.change = change
        self.storedAt = storedAt
        self.isAcknowledged = isAcknowledged
    }

    /// The message that it wrote or amended.
    var message: Message? {
        switch self.change {
        case .message(let message), .amend(let message, _): message
        default: nil
        }
    }

    /// The message that it wrote.
    var posted: Message? {
        if case .message(let message) = self.change { message } else { nil }
    }

    /// Whether both are one change of one history; of what cannot be told apart that is assumed.
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
    /// Whether they are one message, whatever became of its words. What has its number from two masters has not the same.
    func isSame(as other: Message) -> Bool {
        guard self.sequence == other.sequence && self.sentAt == other.sentAt else { return false }
        // Mostly one object, which need not be looked into.
        return self.body === other.body
            || self.body.author.id == other.body.author.id
                && self.body.clientMessageID == other.body.clientMessageID
    }
}

/// What owners had to do because their store had forgotten something, in changes.
public struct RecoveryCounts: Sendable, Equatable {
    /// Written again under the same numbers.
    public var inPlace = 0
    /// Appended again under the next numbers, because the store had others under theirs.
    public var moved = 0
    /// Nobody had them any more: their numbers are taken by empty messages, or by nothing.
    public var lost = 0

    public init() {}

    public static func += (sum: inout Self, other: Self) {
        sum.inPlace += other.inPlace
        sum.moved += other.moved
        sum.lost += other.lost
    }
}
