import ChatCore
import ChatModel

/// The feeds of a loop, each in a slot that is its name while it is open.
struct FeedTable: Sendable {
    private var slots: [Feed?] = []
    private var generations: [UInt32] = []
    private var free: [UInt32] = []
    private var index = SlotIndex()

    var count: Int { self.index.count }

    subscript(slot: UInt32) -> Feed {
        get { self.slots[Int(slot)]! }
        _modify { yield &self.slots[Int(slot)]! }
    }

    /// The slots of all open feeds.
    var open: [UInt32] {
        self.slots.indices.lazy.filter { self.slots[$0] != nil }.map { UInt32($0) }
    }

    /// - Parameter place: where it was last.
    func slot(of key: ConversationKey, near place: UInt32 = .max) -> UInt32? {
        if Int(place) < self.slots.count, self.slots[Int(place)]?.key == key { return place }
        return self.index.slot(hash: key.hashValue) { self.slots[Int($0)]?.key == key }
    }

    mutating func open(_ feed: Feed) -> UInt32 {
        let slot: UInt32
        if let reused = self.free.popLast() {
            slot = reused
            self.slots[Int(slot)] = feed
        } else {
            slot = UInt32(self.slots.count)
            self.slots.append(feed)
            self.generations.append(0)
        }
        self.generations[Int(slot)] &+= 1
        self.index.insert(slot, hash: feed.key.hashValue)
        return slot
    }

    mutating func close(_ slot: UInt32) {
        self.index.remove(slot, hash: self[slot].key.hashValue)
        self.slots[Int(slot)] = nil
        self.free.append(slot)
    }

    func name(_ slot: UInt32) -> FeedID {
        FeedID(slot: slot, generation: self.generations[Int(slot)])
    }

    func isCurrent(_ feed: FeedID) -> Bool {
        Int(feed.slot) < self.slots.count && self.generations[Int(feed.slot)] == feed.generation && self.slots[Int(feed.slot)] != nil
    }
}
