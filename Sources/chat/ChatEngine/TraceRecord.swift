public import ChatCore
public import ChatModel

/// One step of a message's path, as the loop at which it happened recorded it.
///
/// A plain value of 48 bytes without references: recording it copies six words and retains nothing,
/// and a full ring keeps no message alive.
public struct TraceRecord: Sendable, Equatable {
    /// The steps, in the order of a message's path.
    public enum Step: UInt8, Sendable, CaseIterable {
        /// The client's loop has accepted the request. The message has no number yet.
        case accepted
        /// The client's loop has sent the request to an owner again.
        case resent
        /// The owner has assigned the message's number.
        case sequenced
        /// The owner has handed the event to the store, which publishes it when it stores it.
        case publishedWithWrite
        /// The owner knows that the message is stored.
        case stored
        /// The store has refused the message, or its outcome is unknown.
        case notStored
        /// The owner has sent the event to other loops.
        case published
        /// A loop with subscribers has received the event.
        case received
        /// A loop has written the message to the sockets of its subscribers.
        case written
        /// A socket of a user other than the author has accepted the message.
        case delivered
        /// The client's loop has the owner's answer.
        case answered
        /// The client's loop has ended the request with an error.
        case failed

        /// The name in documents for operators.
        public var name: String {
            switch self {
            case .publishedWithWrite: "published_with_write"
            case .notStored: "not_stored"
            default: "\(self)"
            }
        }
    }

    /// Nanoseconds of the node's monotonic clock (`MonotonicTime`).
    public let at: Int64
    /// `ConversationKey.hash`, which is valid only in the process that recorded it.
    public let conversation: Int
    /// 0 while the message has no number. In `delivered`, the newest of `count` messages.
    public let sequence: SequenceNumber
    /// The client's request, in the steps up to `sequenced` and in its answer; 0 elsewhere.
    public let request: RequestID
    /// In `accepted`, the hash of the author (`MessageTrace.hash(of:)`). In `sequenced`, the
    /// incarnation of the node that sent the request.
    public let peer: UInt64
    public let step: Step
    /// In `sequenced`, the loop that sent the request.
    public let loop: UInt16
    /// In `published` and `publishedWithWrite`, the number of loops; in `written`, of sockets; in
    /// `delivered`, of messages.
    public let count: UInt32

    public init(
        _ step: Step, at: Int64, conversation: Int, sequence: SequenceNumber = 0,
        request: RequestID = 0, peer: UInt64 = 0, loop: UInt16 = 0, count: UInt32 = 0
    ) {
        self.at = at
        self.conversation = conversation
        self.sequence = sequence
        self.request = request
        self.peer = peer
        self.step = step
        self.loop = loop
        self.count = count
    }

    /// Whether the step belongs to the message with this number.
    public func concerns(_ number: SequenceNumber) -> Bool {
        self.step == .delivered
            ? number <= self.sequence && number > self.sequence - Int(self.count)
            : number == self.sequence
    }
}
