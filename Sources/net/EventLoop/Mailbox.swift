import Bytes
import Synchronization

/// A bounded queue of messages to a loop, from any thread.
///
/// The loop is woken once for any number of messages, and only if it sleeps. Its handler is
/// notified by `messagesWaiting()`.
public final class Mailbox<Message: Sendable>: Sendable {
    /// The maximum number of queued messages. Further messages are rejected until the mailbox is
    /// drained.
    public let limit: Int
    private let loop: EventLoop
    private let queued = Mutex<[Message]>([])

    /// Creates a mailbox of `loop` for at most `limit` messages.
    public init(of loop: EventLoop, limit: Int = 65_536) {
        self.loop = loop
        self.limit = limit
    }

    /// Appends a message. Returns false and drops the message if the mailbox is full.
    public func post(_ message: Message) -> Bool {
        let count = self.queued.withLock { messages in
            guard messages.count < self.limit else { return 0 }
            messages.append(message)
            return messages.count
        }
        if count == 1 { self.loop.wakeUp() }
        return count != 0
    }

    /// Replaces the contents of `messages` with all posted messages, oldest first. Pass the same
    /// array every time: it is swapped with the mailbox's array, so nothing is allocated.
    public func drain(into messages: inout [Message]) {
        // A burst leaves a large capacity. The first drain that finds the array mostly empty
        // releases it.
        let isOversized = messages.capacity > 1024 && messages.count < messages.capacity / 8
        if isOversized { messages = [] } else { messages.clear(keepingCapacityUpTo: .max) }
        self.queued.withLock { swap(&$0, &messages) }
    }
}
