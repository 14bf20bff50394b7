import Bytes
import ChatModel

/// The newest messages of a conversation, in order. At its capacity, each new message replaces the
/// oldest.
struct MessageRing {
    private var storage: [Message] = []
    /// The index of the oldest message once the storage is full.
    private var start = 0

    var count: Int { self.storage.count }

    /// The message at an index; 0 is the oldest.
    subscript(offset: Int) -> Message {
        get { self.storage[self.index(offset)] }
        set { self.storage[self.index(offset)] = newValue }
    }

    /// Prefetches the slot of the next message. `added` is the number of messages ever added.
    @inline(__always)
    func prefetch(_ added: Int, capacity: Int) {
        Prefetch.element(capacity == 0 || added < capacity ? added : self.start, of: self.storage)
    }

    /// Appends a message. At the capacity it replaces the oldest message; 0 means no limit.
    @inline(__always)
    mutating func append(_ message: Message, capacity: Int) {
        if capacity == 0 || self.storage.count < capacity {
            self.storage.append(message)
        } else {
            self.storage[self.start] = message
            self.start += 1
            if self.start == self.storage.count { self.start = 0 }
        }
    }

    private func index(_ offset: Int) -> Int {
        let index = self.start + offset
        return index < self.storage.count ? index : index - self.storage.count
    }
}
