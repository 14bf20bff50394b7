/// The messages that a page contains.
public enum PageRange: Sendable, Equatable {
    /// The newest ones.
    case newest
    /// The newest below this number.
    case before(SequenceNumber)
    /// The oldest above this number.
    case after(SequenceNumber)
}

/// A page of messages, always oldest first.
public struct MessagePage: Sendable {
    public var messages: [Message]
    /// Messages that were edited or deleted since the requested revision; empty for a plain page.
    public var amended: [Message]
    /// The stored state when the page was read: the newest message, the oldest that is kept, the
    /// last change.
    public var head: SequenceNumber
    public var oldest: SequenceNumber
    public var revision: Revision

    public init(
        messages: [Message], amended: [Message] = [], head: SequenceNumber, oldest: SequenceNumber,
        revision: Revision
    ) {
        self.messages = messages
        self.amended = amended
        self.head = head
        self.oldest = oldest
        self.revision = revision
    }
}
