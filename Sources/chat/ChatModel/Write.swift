public import Bytes

/// Writes of several conversations of one owner, in order.
public struct WriteBatch: Sendable {
    public let owner: LoopID
    public var writes: [Write]
    /// Messages that the store publishes to other nodes in the same step, if and only if it stores
    /// the whole batch. A relay adds them if the store can publish; a single node has none.
    public var publications: [Publication] = []

    public init(owner: LoopID, writes: [Write]) {
        self.owner = owner
        self.writes = writes
    }
}

/// A payload to publish on a channel of the store's server.
public struct Publication: Sendable {
    public let channel: ByteString
    public let payload: [UInt8]

    public init(channel: ByteString, payload: [UInt8]) {
        self.channel = channel
        self.payload = payload
    }
}

/// One durable change of one conversation.
public struct Write: Sendable {
    public let conversation: ConversationKey
    public let shard: Int
    public let epoch: Epoch
    /// The revision that this change makes, one above the stored one; 0 for cursors, which make
    /// none.
    public let revision: Revision
    public let change: Change

    public init(
        conversation: ConversationKey, shard: Int, epoch: Epoch, revision: Revision, change: Change
    ) {
        self.conversation = conversation
        self.shard = shard
        self.epoch = epoch
        self.revision = revision
        self.change = change
    }

    /// A durable change. The store refuses it as `revisionMismatch` unless the conversation is
    /// stored up to the revision before. A missing conversation accepts only a creation, and an
    /// existing one accepts none.
    public enum Change: Sendable {
        /// The first change, with revision 1.
        case create(ConversationRecord)
        /// The next message; its number is one above the stored head.
        case message(Message)
        /// A stored message after an amendment. Its author, time, reply and mentions do not change;
        /// a deleted message stays deleted, and has no mentions. If the message is no longer kept,
        /// only the revision advances. The list of pinned messages gets the message, or loses it
        /// (`Message.isPinned`).
        ///
        /// The store needs only the message. The amendment says how to apply the change to another
        /// state of the message. The time is nil for a change that does not count as activity.
        /// Indirect: larger than the common cases.
        indirect case amend(Message, Amendment, at: Timestamp?)
        /// A new or changed member, or a former one to remember.
        case member(Member)
        /// The record with new properties. Its other fields are those of the creation, and the
        /// change does not count as activity. Indirect: larger than the common cases.
        indirect case update(ConversationRecord)
        case remove(UserID)
        /// Neither cursor moves back. The store ignores the cursors of a user that is not a member.
        case cursors(UserID, read: SequenceNumber, delivered: SequenceNumber)
        case end(at: Timestamp)
        /// Only advances the revision, in place of a change that is lost.
        case skip
    }
}

/// The outcome of a batch.
public enum WriteOutcome: Sendable, Equatable {
    /// The whole batch is stored, as safely as the store is configured.
    case stored
    /// The writes at these indices of the batch were refused; the others are stored. After a
    /// refused write, all later ones of its conversation are refused too.
    case refused([Int: WriteRefusal])

    /// Whether the write at this index of the batch is stored.
    public func isStored(_ index: Int) -> Bool {
        switch self {
        case .stored: true
        case .refused(let refusals): refusals[index] == nil
        }
    }
}

/// Why a write was refused.
public enum WriteRefusal: Sendable, Equatable {
    /// Another loop has claimed the shard under this epoch; 0 if no loop ever has.
    case fenced(Epoch)
    /// The write may be stored, but might not survive a failover. The owner must claim the shard
    /// again before it continues, which also confirms the write.
    case unconfirmed
    /// The stored revision or head is not what the write expected.
    case revisionMismatch(stored: Revision)
    /// The stored data of the conversation is damaged.
    case damaged
    /// The server that stores this conversation failed. The other writes of the batch are on other
    /// servers.
    case failed(StoreFailure)
}
