import Bytes
import ChatCore
import ChatModel

/// The feeds of a loop. A slot and its generation identify an open feed.
struct FeedTable: Sendable {
    private struct FeedSlot: Sendable {
        /// Counts the feeds that have used this slot.
        var generation: UInt32
        var feed: Feed?
    }

    private var slots: [FeedSlot] = []
    private var free: [UInt32] = []
    private var index = SlotIndex()

    var count: Int { self.index.count }

    subscript(slot: UInt32) -> Feed {
        // Not `get`, which would copy the whole feed to read one field.
        _read { yield self.slots[Int(slot)].feed! }
        _modify { yield &self.slots[Int(slot)].feed! }
    }

    /// Prefetches the feed in this slot, which this turn will use if the hint is right.
    func prefetch(_ hint: UInt32) {
        guard Int(hint) < self.slots.count else { return }
        Prefetch.element(
            Int(hint), of: self.slots, bytes: MemoryLayout<Int>.stride + Feed.hotBytes)
    }

    /// The slots of all open feeds.
    var openSlots: [UInt32] {
        self.slots.indices.lazy.filter { self.slots[$0].feed != nil }.map { UInt32($0) }
    }

    /// - Parameter hint: the slot of the last lookup, as a hint.
    func slot(of key: ConversationKey, near hint: UInt32 = .max) -> UInt32? {
        if Int(hint) < self.slots.count, self.slots[Int(hint)].feed?.key == key { return hint }
        return self.index.slot(hash: key.hash) { self.slots[Int($0)].feed?.key == key }
    }

    mutating func open(_ feed: Feed) -> UInt32 {
        let slot: UInt32
        if let reused = self.free.popLast() {
            slot = reused
            self.slots[Int(slot)] = FeedSlot(
                generation: self.slots[Int(slot)].generation &+ 1, feed: feed)
        } else {
            slot = UInt32(self.slots.count)
            self.slots.append(FeedSlot(generation: 1, feed: feed))
        }
        self.index.insert(slot, hash: feed.key.hash)
        return slot
    }

    mutating func close(_ slot: UInt32) {
        self.index.remove(slot, hash: self[slot].key.hash)
        self.slots[Int(slot)].feed = nil
        self.free.append(slot)
    }

    func id(at slot: UInt32) -> FeedID {
        FeedID(slot: slot, generation: self.slots[Int(slot)].generation)
    }

    func isCurrent(_ feed: FeedID) -> Bool {
        Int(feed.slot) < self.slots.count
            && self.slots[Int(feed.slot)].generation == feed.generation
            && self.slots[Int(feed.slot)].feed != nil
    }
}
