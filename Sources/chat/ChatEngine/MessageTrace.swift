internal import Bytes
public import ChatCore
public import ChatModel

/// The latest steps of messages on one loop: a ring of fixed size, allocated once, that is always
/// enabled.
///
/// Times come from `time`, which the loop sets when it reads its clock, once per turn. A clock call
/// per step would cost more than the step.
public struct MessageTrace: Sendable {
    private var records: [TraceRecord]
    private let mask: Int
    /// The number of steps recorded so far.
    private var recorded = 0
    /// The time of the following steps, in nanoseconds of the node's monotonic clock.
    public var time: Int64 = 0
    /// The number to add to `time` to get the wall clock that all nodes share: Redis' clock, or the
    /// node's own if it has no Redis.
    var wallOffset: Int64 = 0

    /// `time` by that wall clock, in microseconds since 1970.
    var wallMicroseconds: Int64 { (self.time &+ self.wallOffset) / 1000 }

    /// The number of pending requests that `steps(of:)` returns per conversation.
    static let pendingLimit = 64

    /// - Parameter capacity: the number of steps that the ring keeps, rounded up to a power of two,
    ///   so that finding a step's place needs no division.
    init(capacity: Int) {
        var count = 1
        while count < capacity { count *= 2 }
        self.mask = count - 1
        self.records = Array(
            repeating: TraceRecord(.accepted, at: 0, conversation: 0), count: count)
    }

    /// The hash by which `accepted` steps identify an author. It takes eight bytes at a time,
    /// because it is computed for every message.
    public static func hash(of user: UserID) -> UInt64 {
        user.storageKey.withBytes { text in
            let bytes = UnsafeRawBufferPointer(text)
            var hash = UInt64(truncatingIfNeeded: bytes.count)
            var offset = 0
            while offset &+ 8 <= bytes.count {
                let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                hash = (hash ^ word) &* 0x9E37_79B9_7F4A_7C15
                hash ^= hash >> 32
                offset &+= 8
            }
            while offset < bytes.count {
                hash = (hash ^ UInt64(bytes[offset])) &* 0x9E37_79B9_7F4A_7C15
                offset &+= 1
            }
            return hash
        }
    }

    mutating func record(
        _ step: TraceRecord.Step, in conversation: Int, sequence: SequenceNumber = 0,
        request: RequestID = 0, peer: UInt64 = 0, loop: UInt16 = 0, count: Int = 0
    ) {
        self.records[self.recorded & self.mask] = TraceRecord(
            step, at: self.time, conversation: conversation, sequence: sequence,
            request: request, peer: peer, loop: loop, count: UInt32(truncatingIfNeeded: count))
        self.recorded &+= 1
    }

    // MARK: Queries

    /// Visits the steps in the ring, oldest first.
    private func forEach(_ body: (TraceRecord) -> Void) {
        let first = max(0, self.recorded - self.records.count)
        for number in first..<self.recorded { body(self.records[number & self.mask]) }
    }

    private struct Request: Hashable {
        let conversation: Int
        let request: RequestID

        init(_ record: TraceRecord) {
            self.conversation = record.conversation
            self.request = record.request
        }
    }

    /// The steps of these messages on this loop, oldest first. They include the steps of requests
    /// whose answer has not arrived, because one of them may be such a message's; its `sequenced`
    /// step, perhaps on another node, names the request.
    ///
    /// - Parameter messages: the numbers of messages by `ConversationKey.hash`.
    func steps(of messages: [Int: Set<SequenceNumber>]) -> [TraceRecord] {
        var answers: [Request: SequenceNumber] = [:]
        var pending: [Int: Int] = [:]
        self.forEach { record in
            guard messages[record.conversation] != nil else { return }
            switch record.step {
            case .answered: answers[Request(record)] = record.sequence
            case .accepted: pending[record.conversation, default: 0] += 1
            default: break
            }
        }
        for request in answers.keys { pending[request.conversation, default: 0] -= 1 }
        var steps: [TraceRecord] = []
        self.forEach { record in
            guard let numbers = messages[record.conversation] else { return }
            if record.sequence != 0 {
                let isWanted =
                    record.step == .delivered
                    ? numbers.contains(where: record.concerns)
                    : numbers.contains(record.sequence)
                if isWanted { steps.append(record) }
            } else if let number = answers[Request(record)] {
                if numbers.contains(number) { steps.append(record) }
            } else {
                if record.step == .accepted { pending[record.conversation, default: 0] -= 1 }
                if pending[record.conversation, default: 0] < Self.pendingLimit {
                    steps.append(record)
                }
            }
        }
        return steps
    }

    /// A message of a user, or a request that has no number yet.
    public struct TracedMessage: Sendable, Equatable {
        /// `ConversationKey.hash`.
        public let conversation: Int
        /// 0 while the message has no number.
        public var sequence: SequenceNumber
        /// 0 if the user is not the author.
        public let request: RequestID
        /// When the loop accepted or received it.
        public let at: Int64
    }

    /// The messages that users sent through this loop or received on it, oldest first, without
    /// messages that were sent through other loops.
    ///
    /// - Parameters:
    ///   - authors: `hash(of:)` of the users.
    ///   - subscriptions: the conversations to which they are subscribed on this loop.
    ///   - since: the monotonic nanosecond after which the message was accepted or received.
    ///   - limit: the maximum number; the newest are returned.
    func messages(
        of authors: Set<UInt64>, subscribedTo subscriptions: Set<Int>, since: Int64, limit: Int
    ) -> [TracedMessage] {
        var messages: [TracedMessage] = []
        var own: [Request: Int] = [:]
        self.forEach { record in
            guard record.at > since else { return }
            switch record.step {
            case .accepted where authors.contains(record.peer):
                own[Request(record)] = messages.count
                messages.append(
                    TracedMessage(
                        conversation: record.conversation, sequence: 0, request: record.request,
                        at: record.at))
            case .answered:
                if let index = own[Request(record)] { messages[index].sequence = record.sequence }
            case .received where subscriptions.contains(record.conversation):
                messages.append(
                    TracedMessage(
                        conversation: record.conversation, sequence: record.sequence, request: 0,
                        at: record.at))
            default: break
            }
        }
        return messages.suffix(limit)
    }
}
