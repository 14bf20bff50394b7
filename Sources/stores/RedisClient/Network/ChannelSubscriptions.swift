internal import Bytes

/// The subscribed channels and, in a cluster, the link that each is subscribed on.
struct ChannelSubscriptions {
    struct Channel {
        let name: ByteString
        let slot: RedisSlot
        /// The link that carries the subscription; nil while the channel is not subscribed.
        var linkID: Int?
    }

    var channels: [Channel] = []

    /// - Returns: whether the channel was new.
    mutating func add(_ name: ByteString) -> Bool {
        guard !self.channels.contains(where: { $0.name == name }) else { return false }
        self.channels.append(Channel(name: name, slot: RedisSlot(key: name)))
        return true
    }

    mutating func remove(_ name: ByteString) -> Channel? {
        self.channels.firstIndex { $0.name == name }.map { self.channels.remove(at: $0) }
    }

    /// Marks the link's channels as not subscribed, because the link has lost its connection.
    mutating func markUnsubscribed(link linkID: Int) {
        for index in self.channels.indices where self.channels[index].linkID == linkID {
            self.channels[index].linkID = nil
        }
    }

    /// Marks one channel as not subscribed, because the server on this link has ended the
    /// subscription.
    mutating func markUnsubscribed(_ name: UnsafeRawBufferPointer, on linkID: Int) {
        for index in self.channels.indices where self.channels[index].linkID == linkID {
            if self.channels[index].name.withBytes({ $0.elementsEqual(name) }) {
                self.channels[index].linkID = nil
            }
        }
    }

    mutating func markUnsubscribed(_ slot: RedisSlot, on linkID: Int) {
        for index in self.channels.indices
        where self.channels[index].linkID == linkID && self.channels[index].slot == slot {
            self.channels[index].linkID = nil
        }
    }
}
