internal import Bytes

/// The channels that are listened to, and in a cluster where.
struct ChannelSubscriptions {
    struct Channel {
        let name: ByteString
        let slot: RedisSlot
        /// The link that it was subscribed over; nil while it is not.
        var linkID: Int?
    }

    var channels: [Channel] = []

    /// Whether it was not there.
    mutating func add(_ name: ByteString) -> Bool {
        guard !self.channels.contains(where: { $0.name == name }) else { return false }
        self.channels.append(Channel(name: name, slot: RedisSlot(key: name)))
        return true
    }

    mutating func remove(_ name: ByteString) -> Channel? {
        self.channels.firstIndex { $0.name == name }.map { self.channels.remove(at: $0) }
    }

    /// A link brings nothing any more.
    mutating func markUnsubscribed(link: Int) {
        for place in self.channels.indices where self.channels[place].linkID == link {
            self.channels[place].linkID = nil
        }
    }

    /// A server has ended a subscription, over a link.
    mutating func markUnsubscribed(_ name: UnsafeRawBufferPointer, on link: Int) {
        for place in self.channels.indices where self.channels[place].linkID == link {
            if self.channels[place].name.withBytes({ $0.elementsEqual(name) }) {
                self.channels[place].linkID = nil
            }
        }
    }

    mutating func markUnsubscribed(_ slot: RedisSlot, on link: Int) {
        for place in self.channels.indices
        where self.channels[place].linkID == link && self.channels[place].slot == slot {
            self.channels[place].linkID = nil
        }
    }
}
