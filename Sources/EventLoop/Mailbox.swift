import Bytes
import Synchronization

/// A bounded list of messages into a loop, from any thread.
///
/// However many are posted, the loop is woken once, and only if it sleeps. Its handler is told by `messagesWaiting()`.
public final class Mailbox<Message: Sendable>: Sendable {
    /// So many messages it takes; the next one is refused until it is drained.
    public let limit: Int
    private let loop: EventLoop
    private let queued = Mutex<[Message]>([])

    /// A mailbox of `loop` for at most `limit` messages.
    public init(of loop: EventLoop, limit: Int = 65_536) {
        self.loop = loop
        self.limit = limit
    }

    /// Puts a message behind the others. False, and the message is not taken, when the mailbox is full.
    public func post(_ message: Message) -> Bool {
        let count = self.queued.withLock { waiting in
            guard waiting.count < self.limit else { return 0 }
            waiting.append(message)
            return waiting.count
        }
        if count == 1 { self.loop.wakeUp() }
        return count != 0
    }

    /// Replaces what is in `messages` by all that has been posted, oldest first. To be called with the same array every time: it
    /// and the mailbox change places, so that nothing is allocated.
    public func drain(into messages: inout [Message]) {
        // The room that a burst took is given back by the first drain that finds it mostly empty.
        let isRoomy = messages.capacity > 1024 && messages.count < messages.capacity / 8
        if isRoomy { messages = [] } else { messages.clear(keepingCapacityUpTo: .max) }
        self.queued.withLock { swap(&$0, &messages) }
    }
}
