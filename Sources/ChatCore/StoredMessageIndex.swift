import Bytes
import ChatModel

/// The messages that a store has since two histories parted, by their numbers and by the sends that made them.
struct StoredMessageIndex {
    private struct SendKey: Hashable {
        let author: UserID
        let clientMessageID: ClientMessageID?
        /// Tells those apart that came without a client id.
        let content: String?

        init(_ message: Message) {
            self.author = message.body.author.id
            self.clientMessageID = message.body.clientMessageID
            self.content = message.body.clientMessageID == nil ? message.body.content : nil
        }
    }

    private var messages: [SequenceNumber: Message] = [:]
    private var sends: [SendKey: SequenceNumber] = [:]
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

    /// The message that the same send has made.
    func sequence(of message: Message) -> SequenceNumber? { self.sends[SendKey(message)] }

    /// Whether the same send has made one of them, by its client id.
    func hasSend(of message: Message) -> Bool {
        message.body.clientMessageID != nil && self.sequence(of: message) != nil
    }

    /// Whether another message has this one's number, or nobody's has, or this one has another number.
    func isDisplaced(_ message: Message) -> Bool {
        guard let known = self.messages[message.sequence] else {
            return message.sequence > self.head || self.sequence(of: message) != nil
        }
        return !known.isSame(as: message)
    }

    /// The number of one that is older than all of these: no history has another under it.
    func sequenceIfOlder(_ message: Message) -> SequenceNumber? {
        message.sequence < self.first ? message.sequence : nil
    }

    mutating func record(_ message: Message) {
        self.messages[message.sequence] = message
        self.sends[SendKey(message)] = message.sequence
    }
}
