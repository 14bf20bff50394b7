import Bytes
import ChatModel

/// The stored messages from the point where two histories parted, by number and by the send that
/// created them.
struct StoredMessageIndex {
    private struct SendKey: Hashable {
        let author: UserID
        let clientMessageID: ClientMessageID?
        /// Distinguishes sends without a client message id.
        let content: String?

        init(_ message: Message) {
            self.author = message.body.author.id
            self.clientMessageID = message.body.clientMessageID
            self.content = message.body.clientMessageID == nil ? message.body.content : nil
        }
    }

    private var messages: [SequenceNumber: Message] = [:]
    private var sends: [SendKey: SequenceNumber] = [:]
    /// The numbers that displaced messages got.
    private var movedNumbers: [SequenceNumber: SequenceNumber] = [:]
    private let first: SequenceNumber
    private let head: SequenceNumber
    let lastSentAt: Int64

    init(_ page: MessagePage) {
        self.first = page.messages.first?.sequence ?? .max
        self.head = page.head
        self.lastSentAt = page.messages.last?.sentAt.milliseconds ?? 0
        for message in page.messages { self.record(message) }
    }

    subscript(sequence: SequenceNumber) -> Message? { self.messages[sequence] }

    /// The number of the message that the same send created.
    func sequence(of message: Message) -> SequenceNumber? { self.sends[SendKey(message)] }

    /// Whether the same send, by its client message id, created one of the messages.
    func hasSend(of message: Message) -> Bool {
        message.body.clientMessageID != nil && self.sequence(of: message) != nil
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
    ///
    /// - Parameter firstMoved: the first number that two histories use for different messages.
    func movedReply(_ reply: Reply?, firstMoved: SequenceNumber) -> Reply? {
        guard let reply else { return nil }
        func moved(_ number: SequenceNumber) -> SequenceNumber? {
            self.movedNumbers[number] ?? (number < firstMoved ? number : nil)
        }
        guard let target = moved(reply.to) else { return nil }
        return Reply(to: target, thread: moved(reply.thread) ?? target)
    }

    mutating func record(_ message: Message) {
        self.messages[message.sequence] = message
        self.sends[SendKey(message)] = message.sequence
    }
}
