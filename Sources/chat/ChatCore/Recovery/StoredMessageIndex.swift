import Bytes
import ChatModel

/// The stored messages from the point where two histories parted, by number and by the send that
/// created them.
struct StoredMessageIndex {
    private struct SendKey: Hashable {
        let author: UserID
        let clientMessageID: ClientMessageID
    }

    private var messages: [SequenceNumber: Message] = [:]
    private var sends: [SendKey: SequenceNumber] = [:]
    /// The numbers that displaced messages got.
    private var movedNumbers: [SequenceNumber: SequenceNumber] = [:]
    /// The first number that two histories use for different messages.
    var firstMoved = SequenceNumber.max
    private let first: SequenceNumber
    /// The newest message that was read; `max` if all up to the head were read.
    private let last: SequenceNumber
    private let head: SequenceNumber
    let lastSentAt: Int64

    /// - Parameter isWhole: the page contains all messages up to the head.
    init(_ page: MessagePage, isWhole: Bool = true) {
        self.first = page.messages.first?.sequence ?? page.head + 1
        self.last = isWhole ? .max : page.messages.last?.sequence ?? self.first
        self.head = page.head
        self.lastSentAt = page.messages.last?.sentAt.milliseconds ?? 0
        for message in page.messages { self.record(message) }
    }

    /// Whether the message would be here if the store had it. Others were not read or are no longer
    /// kept.
    func covers(_ sequence: SequenceNumber) -> Bool {
        sequence >= self.first && sequence <= self.last
    }

    subscript(sequence: SequenceNumber) -> Message? { self.messages[sequence] }

    /// The number of the message that the same send created.
    func sequence(of message: Message) -> SequenceNumber? {
        Self.key(of: message).flatMap { self.sends[$0] }
    }

    /// Nil for a message that no send created: it fills the number of a lost one.
    private static func key(of message: Message) -> SendKey? {
        message.body.clientMessageID.map {
            SendKey(author: message.body.author.id, clientMessageID: $0)
        }
    }

    /// Whether this number belongs to another message or to none, or the message has another
    /// number.
    func isDisplaced(_ message: Message) -> Bool {
        guard let known = self.messages[message.sequence] else {
            return message.sequence > self.head || self.sequence(of: message) != nil
        }
        return !known.isSame(as: message)
    }

    /// The message's number if it is below all of these. Every history has the same message under
    /// it.
    func sequenceIfOlder(_ message: Message) -> SequenceNumber? {
        message.sequence < self.first ? message.sequence : nil
    }

    /// Records that a message of another history has a new number.
    mutating func recordMoved(from former: SequenceNumber, to number: SequenceNumber) {
        self.movedNumbers[former] = number
    }

    /// The place of a displaced reply. A reply whose target is lost becomes a message of its own,
    /// because another message has the target's number.
    func movedReply(_ reply: Reply?) -> Reply? {
        guard let reply else { return nil }
        func moved(_ number: SequenceNumber) -> SequenceNumber? {
            self.movedNumbers[number] ?? (number < self.firstMoved ? number : nil)
        }
        guard let target = moved(reply.to) else { return nil }
        // Here the target may have another place than in the other history.
        let thread = self.messages[target].map { $0.body.annotations?.reply?.thread ?? target }
        return Reply(to: target, thread: thread ?? moved(reply.thread) ?? target)
    }

    mutating func record(_ message: Message) {
        self.messages[message.sequence] = message
        if let key = Self.key(of: message) { self.sends[key] = message.sequence }
    }
}
