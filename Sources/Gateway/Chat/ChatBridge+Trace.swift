import Bytes
import ChatEngine
import ChatModel
import EventLoop
import Telemetry

/// A message that a turn writes to sockets.
struct MessageWriting {
    let key: ConversationKey
    let sequence: SequenceNumber
    /// See `Message.acceptedAt`.
    let acceptedAt: Int64
    let socketCount: Int

    init(_ message: Message, in key: ConversationKey, toSockets socketCount: Int) {
        self.key = key
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
            WallClock.nanoseconds - MonotonicTime.exact.nanoseconds
                - (self.context.relay?.clockOffset ?? 0) * 1000)
    }

    /// Records the messages that this turn has written. One clock call serves all of them; without
    /// messages there is none.
    mutating func recordWritings() {
        guard !self.queues.writings.isEmpty else { return }
        self.chat.traceTime = MonotonicTime.exact.nanoseconds
        for index in self.queues.writings.indices {
            self.chat.recordWritten(
                self.queues.writings[index].sequence, in: self.queues.writings[index].key,
                toSockets: self.queues.writings[index].socketCount)
            let acceptedAt = self.queues.writings[index].acceptedAt
            if acceptedAt != 0 {
                self.context.counters.deliveryTimes.record(
                    self.chat.microseconds(since: acceptedAt) &* 1000)
            }
        }
        self.queues.writings.clear(keepingCapacityUpTo: 1024)
    }
}
