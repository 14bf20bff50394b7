import Bytes
import ChatModel

/// The newest messages of a conversation, in order; it grows up to its capacity and then forgets the oldest.
struct MessageRing {
    private var storage: [Message] = []
    /// Where the oldest is, once the storage is full.
    private var start = 0

    var count: Int { self.storage.count }

    /// The message at this place, 0 being the oldest.
    subscript(place: Int) -> Message {
        get { self.storage[self.index(place)] }
        set { self.storage[self.index(place)] = newValue }
    }

    /// Fetches the place of the next message, where so many have ever been added.
    @inline(__always)
    func prefetch(_ added: Int, capacity: Int) {
        Prefetch.element(capacity == 0 || added < capacity ? added : self.start, of: self.storage)
    }

    /// Adds a message; with `capacity` there already, instead of the oldest. 0 keeps all.
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

    private func index(_ place: Int) -> Int {
        let index = self.start + place
        return index < self.storage.count ? index : index - self.storage.count
    }
}
