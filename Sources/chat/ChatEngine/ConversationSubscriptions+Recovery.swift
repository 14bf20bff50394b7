import Bytes
import ChatCore
import ChatModel

/// Compares delivered messages with a store that may have a different history, because two Redis
/// masters may have accepted writes for a moment.
extension ConversationSubscriptions {
    /// Compares recent deliveries now, and again later, when the owners that wrote to the other
    /// master have noticed.
    mutating func storeMayHaveLostData(at now: ClockReading, output: inout LoopOutput) {
        guard self.deliveryLog.isEnabled else { return }
        self.rereadWaitingPages(output: &output)
        self.checkDeliveries(at: now, output: &output)
        self.dueChecks.append(now.monotonic + Self.recheckDelay)
    }

    /// The revision of a waiting page can belong to another change in this store.
    private mutating func rereadWaitingPages(output: inout LoopOutput) {
        for feed in exchange(&self.feedsWithWaitingPages, with: [])
        where self.feeds.isCurrent(feed) {
            for read in exchange(&self.feeds[feed.slot].waitingPages, with: []) {
                self.read(read, output: &output)
            }
        }
    }

    /// Schedules another comparison, because this one could not be decided.
    mutating func scheduleRecheck(at now: ClockReading) {
        let time = now.monotonic + Self.undecidedRecheckDelay
        if !self.dueChecks.contains(where: { $0 <= time }) { self.dueChecks.append(time) }
    }

    mutating func checkIfDue(at now: ClockReading, output: inout LoopOutput) {
        guard self.dueChecks.contains(where: { $0 <= now.monotonic }) else { return }
        self.dueChecks.removeAll { $0 <= now.monotonic }
        self.checkDeliveries(at: now, output: &output)
    }

    private mutating func checkDeliveries(at now: ClockReading, output: inout LoopOutput) {
        for (feed, delivered) in self.deliveryLog.recent(at: now) where self.feeds.isCurrent(feed) {
            // A page may have been logged after later events.
            let items = delivered.sorted { $0.revision < $1.revision }
            let messages = items.lazy.filter { $0.identity != nil }.map(\.sequence)
            let first = messages.min() ?? self.feeds[feed.slot].watermarks.deliveredThrough + 1
            let since = items.lazy.map(\.revision).min() ?? 0
            let request = StoreRequest.changes(
                self.feeds[feed.slot].key, after: first - 1, since: since - 1,
                limit: max(1, (messages.max() ?? first) - first + 1))
            self.reads[output.submit(request)] = .check(feed, items)
        }
    }

    /// Compares delivered items with a page of the store. At the first difference the feed rolls
    /// back to the common history and delivers the store's version from there. Items beyond the
    /// store's head are undecided: their owner writes them again, or others take their place.
    mutating func compareDelivered(
        in feed: FeedID, _ items: [DeliveryLog.Item], with page: MessagePage, at now: ClockReading,
        output: inout LoopOutput
    ) {
        guard self.feeds.isCurrent(feed) else { return }
        let changed = page.amended + page.messages
        let stored = Dictionary(changed.map { ($0.sequence, $0) }) { $1 }
        let changes = Dictionary(changed.map { ($0.revision, $0.sequence) }) { $1 }
        var common: Revision = 0
        for (index, item) in items.enumerated() {
            guard item.sequence == 0 || item.sequence >= page.oldest else { continue }
            if item.sequence > page.head || item.revision > page.revision {
                self.scheduleRecheck(at: now)
                break
            }
            if self.isSame(item, stored[item.sequence]),
                changes[item.revision] ?? item.sequence == item.sequence
            {
                common = max(common, item.revision)
                continue
            }
            let firstMessage = items[index...].first {
                $0.identity != nil && $0.sequence <= page.head
                    && !self.isSame($0, stored[$0.sequence])
            }?.sequence
            self.rollBack(feed, to: common, before: firstMessage, at: now, output: &output)
            return
        }
    }

    private func isSame(_ item: DeliveryLog.Item, _ message: Message?) -> Bool {
        guard item.sequence > 0 else { return true }
        guard let message else { return false }
        return item.identity.map { $0 == DeliveryLog.identity(of: message) }
            ?? (message.revision >= item.revision)
    }

    private mutating func rollBack(
        _ feed: FeedID, to revision: Revision, before sequence: SequenceNumber?,
        at now: ClockReading, output: inout LoopOutput
    ) {
        let slot = feed.slot
        self.deliveryLog.remove(feed)
        self.feeds[slot].rollBack(
            to: revision,
            through: sequence.map { $0 - 1 } ?? self.feeds[slot].watermarks.deliveredThrough)
        self.repair(slot, at: now, output: &output)
    }
}
