import Bytes
import ChatCore
import ChatModel

/// The feeds of a loop. A slot and its generation identify an open feed.
struct FeedTable: Sendable {
    private var feeds = SlotList<FeedID, Feed>(
        vacant: Feed(
            key: ConversationKey(tenant: "", id: ""), owner: LoopID(incarnation: 0, loop: 0)))
    private var index = SlotIndex()

    var count: Int { self.feeds.count }

    subscript(slot: UInt32) -> Feed {
        // Not `get`, which would copy the whole feed to read one field.
        _read { yield self.feeds[slot] }
        _modify { yield &self.feeds[slot] }
    }

    /// Prefetches the feed in this slot, which this turn will use if the hint is right.
    func prefetch(_ hint: UInt32) { self.feeds.prefetch(hint, bytes: Feed.hotBytes) }

    /// The slots of all open feeds.
    var openSlots: [UInt32] { self.feeds.occupiedSlots }

    /// - Parameter hint: the slot of the last lookup, as a hint.
    func slot(of key: ConversationKey, near hint: UInt32 = .max) -> UInt32? {
        // Field by field: `==` of keys in a list copies them.
        if self.feeds.isOccupied(hint), self.feeds[hint].key.hash == key.hash,
            self.feeds[hint].key.id == key.id, self.feeds[hint].key.tenant == key.tenant
        {
            return hint
        }
        return self.index.slot(hash: key.hash) { self.feeds[$0].key == key }
    }

    /// The key of an open feed by its hash, for traces.
    func key(withHash hash: Int) -> ConversationKey? {
        self.index.slot(hash: hash) { self.feeds[$0].key.hash == hash }.map { self.feeds[$0].key }
    }

    mutating func open(_ feed: Feed) -> UInt32 {
        let slot = self.feeds.insert(feed).slot
        self.index.insert(slot, hash: feed.key.hash)
        return slot
    }

    mutating func close(_ slot: UInt32) {
        self.index.remove(slot, hash: self.feeds[slot].key.hash)
        self.feeds.remove(slot)
    }

    func id(at slot: UInt32) -> FeedID { self.feeds.key(of: slot) }

    func isCurrent(_ feed: FeedID) -> Bool { self.feeds.contains(feed) }
}
