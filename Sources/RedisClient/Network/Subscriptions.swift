internal import Bytes

/// The channels that are listened to, and in a cluster where.
struct Subscriptions {
    struct Channel {
        let name: ByteString
        let slot: RedisSlot
        /// The link that it was subscribed over; nil while it is not.
        var link: Int?
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
    mutating func forget(link: Int) {
        for place in self.channels.indices where self.channels[place].link == link { self.channels[place].link = nil }
    }

    /// A server has ended a subscription, over a link.
    mutating func forget(_ name: UnsafeRawBufferPointer, over link: Int) {
        for place in self.channels.indices where self.channels[place].link == link {
            if self.channels[place].name.withBytes({ $0.elementsEqual(name) }) { self.channels[place].link = nil }
        }
    }

    mutating func forget(_ slot: RedisSlot, over link: Int) {
        for place in self.channels.indices where self.channels[place].link == link && self.channels[place].slot == slot {
            self.channels[place].link = nil
        }
    }
}
