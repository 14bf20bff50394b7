import Bytes
import ChatCore
import ChatEngine
import ChatModel
import EventLoop
import Telemetry

/// A message that a turn writes to sockets. It has no references, so that keeping it costs no
/// counting.
struct MessageWriting {
    /// `ConversationKey.hash`.
    let conversation: Int
    let sequence: SequenceNumber
    /// See `Message.acceptedAt`.
    let acceptedAt: Int64
    let socketCount: Int

    init(_ message: Message, in key: ConversationKey, toSockets socketCount: Int) {
        self.conversation = key.hash
        self.sequence = message.sequence
        self.acceptedAt = message.acceptedAt
        self.socketCount = socketCount
    }
}

extension ChatBridge {
    /// Determines the wall clock that all nodes share. Called about once a second, because clocks
    /// are adjusted.
    mutating func updateWallOffset() {
        self.chat.setWallOffset(
            Self.wallOffset - (self.context.relay?.clockOffset ?? 0) * 1000)
    }

    /// Records the messages that this turn has written. One clock call serves all of them; without
    /// messages there is none.
    mutating func recordWritings() {
        guard !self.queues.writings.isEmpty else { return }
        self.chat.traceTime = MonotonicTime.exact.nanoseconds
        for index in self.queues.writings.indices {
            self.chat.recordWritten(
                self.queues.writings[index].sequence,
                in: self.queues.writings[index].conversation,
                toSockets: self.queues.writings[index].socketCount)
            let acceptedAt = self.queues.writings[index].acceptedAt
            if acceptedAt != 0 {
                self.context.counters.deliveryTimes.record(
                    self.chat.microseconds(since: acceptedAt) &* 1000)
            }
        }
        self.queues.writings.clear(keepingCapacityUpTo: 1024)
    }

    // MARK: Queries

    /// The difference between this node's wall clock and its monotonic clock, in nanoseconds.
    private static var wallOffset: Int64 { WallClock.nanoseconds - MonotonicTime.exact.nanoseconds }

    func tracedSteps(of messages: [ConversationKey: Set<SequenceNumber>]) -> [TracedStep] {
        let keys = Dictionary(messages.keys.map { ($0.hash, $0) }) { first, _ in first }
        let records = self.chat.traceSteps(
            of: Dictionary(messages.map { ($0.hash, $1) }) { first, _ in first })
        // A request has the number of the message that its answer names.
        let answers = Dictionary(
            records.filter { $0.step == .answered }.map { ($0.request, $0.sequence) }
        ) { _, last in last }
        let offset = Self.wallOffset
        return records.flatMap { record -> [TracedStep] in
            guard let key = keys[record.conversation] else { return [] }
            let numbers: [SequenceNumber?] =
                record.step == .delivered
                ? (messages[key] ?? []).filter(record.concerns)
                : [record.sequence == 0 ? answers[record.request] : record.sequence]
            return numbers.map {
                TracedStep(
                    conversation: key, message: $0, loop: self.context.index,
                    at: (record.at + offset) / 1000, record: record)
            }
        }
    }

    func tracedMessages(_ query: UserTraceQuery) -> [TracedUserMessage] {
        let numbers = self.users.numbers(
            lookingLike: query.user, in: ByteString(query.tenant))
        let keys = self.subscriptions(of: numbers)
        let messages = self.chat.traceMessages(
            of: [query.user] + numbers.map(self.users.user), subscribedTo: Set(keys.keys),
            since: MonotonicTime.exact.nanoseconds - query.past.wholeNanoseconds,
            limit: query.limit)
        let offset = Self.wallOffset
        return messages.compactMap { message in
            let key =
                keys[message.conversation]
                ?? self.chat.conversation(withHash: message.conversation)
            // Users of different tenants may have the same id.
            guard key == nil || key?.tenant.string == query.tenant else { return nil }
            return TracedUserMessage(
                conversation: key, message: message.sequence == 0 ? nil : message.sequence,
                isAuthor: message.request != 0, at: (message.at + offset) / 1000)
        }
    }

    /// The conversations to which the users are subscribed on this loop, by their hashes.
    private func subscriptions(of users: [UInt32]) -> [Int: ConversationKey] {
        guard !users.isEmpty else { return [:] }
        var keys: [Int: ConversationKey] = [:]
        for slot in self.pool.table.hot.indices
        where users.contains(self.pool.table.hot[slot].user) {
            guard let webSocket = self.pool.openWebSocket(at: UInt32(slot))?.webSocket else {
                continue
            }
            for subscription in webSocket.subscriptions {
                keys[subscription.conversation.hash] = subscription.conversation
            }
        }
        return keys
    }
}
