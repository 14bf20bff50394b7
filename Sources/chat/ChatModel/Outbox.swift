public import Bytes

/// A stored change as other systems receive it, rendered once.
public struct OutboxEvent: Sendable, Equatable {
    /// The same at every attempt, so that a receiver recognises a repetition.
    public let id: ByteString
    /// Such as `message.created`.
    public let type: ByteString
    public let conversation: ConversationKey
    /// When the event was queued. Attempts end a fixed time after it.
    public let queuedAt: Timestamp
    public let body: [UInt8]

    public init(
        id: ByteString, type: ByteString, conversation: ConversationKey, queuedAt: Timestamp,
        body: [UInt8]
    ) {
        self.id = id
        self.type = type
        self.conversation = conversation
        self.queuedAt = queuedAt
        self.body = body
    }
}

/// How a store fills its outbox. The store adds the event of a write in the step that stores the
/// write, so that neither is ever stored without the other.
public struct OutboxWriter: Sendable {
    /// The most events that wait for a reader, and the most dead letters. The reader gives up what
    /// exceeds it. Each partition of the store drops its oldest events at twice this number, which
    /// only happens without a reader.
    public let limit: Int
    /// The event of a write; nil if no receiver wants it.
    public let event: @Sendable (Write) -> OutboxEvent?
    /// Called on any thread after writes to this partition were stored. It does not block.
    public let appended: @Sendable (_ partition: Int) -> Void

    public init(
        limit: Int, event: @escaping @Sendable (Write) -> OutboxEvent?,
        appended: @escaping @Sendable (Int) -> Void
    ) {
        precondition(limit > 0, "an outbox keeps a bounded number of events, not \(limit)")
        self.limit = limit
        self.event = event
        self.appended = appended
    }
}

/// The place of an event in its partition. Later events have higher positions.
public struct OutboxPosition: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let major: UInt64
    public let minor: UInt64

    public init(_ major: UInt64, _ minor: UInt64 = 0) {
        self.major = major
        self.minor = minor
    }

    /// Parses `description`.
    public init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let major = UInt64(parts[0]), let minor = UInt64(parts[1]) else {
            return nil
        }
        self.init(major, minor)
    }

    public static func < (left: Self, right: Self) -> Bool {
        (left.major, left.minor) < (right.major, right.minor)
    }

    public var description: String { "\(self.major)-\(self.minor)" }
}

/// An event of the outbox without its body.
public struct OutboxEntry: Sendable, Equatable {
    public let position: OutboxPosition
    public let id: ByteString
    public let type: ByteString
    public let conversation: ConversationKey
    public let queuedAt: Timestamp
    /// The only group that receives the event; nil if all do.
    public let target: ByteString?

    public init(
        position: OutboxPosition, id: ByteString, type: ByteString,
        conversation: ConversationKey, queuedAt: Timestamp, target: ByteString?
    ) {
        self.position = position
        self.id = id
        self.type = type
        self.conversation = conversation
        self.queuedAt = queuedAt
        self.target = target
    }
}

/// An event that was given up.
public struct DeadLetter: Sendable, Equatable {
    public let partition: Int
    public let position: OutboxPosition
    public let group: ByteString
    public let id: ByteString
    public let type: ByteString
    public let conversation: ConversationKey
    public let attempts: Int
    public let reason: String
    public let diedAt: Timestamp

    public init(
        partition: Int, position: OutboxPosition, group: ByteString, id: ByteString,
        type: ByteString,
        conversation: ConversationKey, attempts: Int, reason: String, diedAt: Timestamp
    ) {
        self.partition = partition
        self.position = position
        self.group = group
        self.id = id
        self.type = type
        self.conversation = conversation
        self.attempts = attempts
        self.reason = reason
        self.diedAt = diedAt
    }
}

/// Who reads an outbox: a consumer of one of its groups. Every group receives every event.
public struct OutboxReader: Sendable, Equatable {
    public let group: ByteString
    /// All groups, with this one. An event is removed when all of them have completed it.
    public let groups: [ByteString]
    /// Identifies the run of the process.
    public let consumer: ByteString

    public init(group: ByteString, groups: [ByteString], consumer: ByteString) {
        self.group = group
        self.groups = groups
        self.consumer = consumer
    }
}

/// Requests about the outbox. All events of a conversation are in one partition, in the order of
/// its changes. A partition is a shard in Redis, and a part of a local store's own choice.
public enum OutboxRequest: Sendable {
    /// Which of these partitions have events or dead letters. A local store reports all its own.
    case scan(partitions: [Int])
    /// Takes the group's next events after `after`, or all if it is nil.
    ///
    /// While another consumer of the group has events of the partition, the answer is busy: only
    /// one delivers at a time, so that the order remains. Events that a consumer has not touched
    /// for `OutboxRequest.takeoverIdle` are taken over from it first.
    ///
    /// - Parameter recovers: the consumer has forgotten the events behind `after`, and takes those
    ///   that it has already taken once more. A local store always does that.
    case take(partition: Int, OutboxReader, after: OutboxPosition?, recovers: Bool, limit: Int)
    /// Reads a taken event before an attempt. Nil if another consumer has taken it over, or if it
    /// was removed.
    case begin(OutboxPosition, partition: Int, OutboxReader)
    case complete([OutboxPosition], partition: Int, OutboxReader)
    /// Completes an event and adds it to the dead letters, whose oldest is dropped at the bound.
    case bury(
        OutboxPosition, partition: Int, OutboxReader, attempts: Int, reason: String, at: Timestamp)
    /// Oldest first in each partition.
    case deadLetters(partitions: [Int], limit: Int)
    /// Moves dead letters back into the outbox, for their group only.
    case retry([OutboxPosition], partition: Int, at: Timestamp)
    case drop([OutboxPosition], partition: Int)

    /// A consumer touches an event before each attempt, and an attempt is shorter than this.
    public static let takeoverIdle = Duration.seconds(20)
}

public enum OutboxAnswer: Sendable, Equatable {
    case partitions([OutboxPartition])
    case taken([OutboxEntry], OutboxProgress)
    case event(OutboxEvent?)
    case deadLetters([DeadLetter])
    /// - Parameter dropped: the dead letters that were dropped at the bound.
    case done(dropped: Int)
}

/// Whether a partition has more events to take.
public enum OutboxProgress: Int, Sendable {
    case atEnd = 0
    /// Another consumer has the next events. Ask again later.
    case busy = 1
    /// Perhaps. Ask again.
    case more = 2
}

/// The contents of a partition.
public struct OutboxPartition: Sendable, Equatable {
    public let number: Int
    public let hasEvents: Bool
    public let deadCount: Int

    public init(number: Int, hasEvents: Bool, deadCount: Int) {
        self.number = number
        self.hasEvents = hasEvents
        self.deadCount = deadCount
    }
}
