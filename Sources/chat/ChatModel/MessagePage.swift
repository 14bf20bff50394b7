/// The messages that a page contains.
public enum PageRange: Sendable, Equatable {
    /// The newest ones.
    case newest
    /// The newest below this number.
    case before(SequenceNumber)
    /// The oldest above this number.
    case after(SequenceNumber)

    /// Whether the page begins with the oldest message of the range, and not with the newest.
    public var isForward: Bool { if case .after = self { true } else { false } }
}

/// The most that a page of messages contains.
public struct PageLimit: Sendable, Equatable, ExpressibleByIntegerLiteral {
    public var messages: Int
    /// The bytes of the texts, references and metadata; see `Message.pageBytes`. A page ends with
    /// the message that reaches this number, so it has at least one.
    public var bytes: Int

    public init(messages: Int, bytes: Int = .max) {
        self.messages = messages
        self.bytes = bytes
    }

    public init(integerLiteral messages: Int) { self.init(messages: messages) }

    /// Reads the messages of a page.
    ///
    /// - Parameters:
    ///   - entries: of the messages of a range, oldest first.
    ///   - isForward: whether the page begins with the oldest of them, and not with the newest.
    /// - Returns: the messages that fit, oldest first, and whether the page has some and the range
    ///   has more.
    public func page<Entry, Failure: Error>(
        of entries: some BidirectionalCollection<Entry>, isForward: Bool,
        read: (Entry) throws(Failure) -> Message
    ) throws(Failure) -> (messages: [Message], hasMore: Bool) {
        var (rest, messages, bytes) = (entries[...], [Message](), 0)
        while messages.count < self.messages, bytes < self.bytes,
            let entry = isForward ? rest.popFirst() : rest.popLast()
        {
            messages.append(try read(entry))
            bytes += messages[messages.count - 1].pageBytes
        }
        if !isForward { messages.reverse() }
        return (messages, !messages.isEmpty && !rest.isEmpty)
    }
}

extension Message {
    /// The bytes of the message that count in a page.
    public var pageBytes: Int {
        self.body.content.utf8.count + (self.body.metadata?.count ?? 0)
    }
}

/// A page of messages, always oldest first.
public struct MessagePage: Sendable {
    public var messages: [Message]
    /// Whether the range has more messages than the page: older ones, or newer ones if the page
    /// begins with the oldest. A page of amended messages has more if there are later changes.
    public var hasMore = false
    /// Messages that were amended since the requested revision, in the order of their last changes.
    /// A reader that gets only the first of them continues after the last one's revision. Empty for
    /// a plain page.
    public var amended: [Message]
    /// The messages, in their present state, to which messages of the page reply, if they are
    /// retained and not on the page themselves. They have no order.
    public var replyTargets: [Message] = []
    /// Whether the messages to which messages of the page reply were read.
    public private(set) var hasReplyTargets = true
    /// The threads whose roots are on the page, by root.
    public var threads: [SequenceNumber: ThreadSummary] = [:]
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

/// The replies of one thread.
public struct ThreadSummary: Sendable, Equatable {
    /// All replies that were posted, deleted ones too.
    public var replyCount: Int
    public var lastReply: SequenceNumber

    public init(replyCount: Int, lastReply: SequenceNumber) {
        self.replyCount = replyCount
        self.lastReply = lastReply
    }
}

extension MessagePage {
    /// A message of the page, or one to which a message of the page replies, in its present state.
    public func message(_ sequence: SequenceNumber) -> Message? {
        if let first = self.messages.first?.sequence, sequence >= first {
            let index = sequence - first
            if index < self.messages.count, self.messages[index].sequence == sequence {
                return self.messages[index]
            }
        }
        // A page of a thread has gaps, and lists of pins and found messages begin with the newest.
        return self.messages.first { $0.sequence == sequence }
            ?? self.replyTargets.first { $0.sequence == sequence }
    }
}

extension MessagePage {
    /// Messages from elsewhere, in any order, without the messages to which they reply.
    public static func of(_ messages: [Message]) -> MessagePage {
        var page = MessagePage(messages: messages, head: 0, oldest: 0, revision: 0)
        page.hasReplyTargets = false
        return page
    }
}
