import ChatEngine
import ChatModel

/// The subscribers of each conversation on this loop, grouped by dialect and compression. A group
/// gets the same bytes.
struct SubscriberIndex {
    struct Group {
        let dialect: Int
        let isCompressed: Bool
        /// The sessions are notified of each message and send frames of their own.
        let tracksDeliveries: Bool
        /// Subscribers that get every event.
        var live: [UInt32] = []
        /// Subscribers that get messages from the store, and all other events live.
        var catchingUp: [UInt32] = []

        func matches(_ dialect: Int, _ isCompressed: Bool, _ tracksDeliveries: Bool) -> Bool {
            self.dialect == dialect && self.isCompressed == isCompressed
                && self.tracksDeliveries == tracksDeliveries
        }
    }

    struct Subscribers {
        /// Identifies the feed, because its slot is reused.
        var feed: FeedID?
        var key: ConversationKey?
        var groups: [Group] = []
        /// Each session handles the feed's messages itself.
        var isPersonalInbox = false
        /// The newest message that was reported to the owner as delivered.
        var reportedThrough: SequenceNumber = 0
        /// A message was sent in this turn, or no user has received it yet.
        var isReportDue = false
        /// The feed is in the queue for the end of this turn's writes.
        var isReportQueued = false
        /// A subscriber that catches up knows more messages than the feed has delivered.
        var hasWaitingCatchUp = false
        /// The author of the unreported messages, if there is only one. A delivery to the author is
        /// not reported.
        var author: UserID?
        var hasManyAuthors = false
        /// The users whose numbers were looked up last.
        var recentUsers = (UserTable.noUser, UserTable.noUser)
    }

    private(set) var entries: [Subscribers] = []

    subscript(feed: FeedID) -> Subscribers {
        get { self.entries[Int(feed.slot)] }
        _modify { yield &self.entries[Int(feed.slot)] }
    }

    /// Whether this feed has subscribers.
    func isCurrent(_ feed: FeedID) -> Bool {
        Int(feed.slot) < self.entries.count && self.entries[Int(feed.slot)].feed == feed
    }

    /// - Parameter reportedThrough: the last reported message, if this is the first subscriber.
    /// - Returns: the subscriber's index in its group's list.
    mutating func insert(
        _ slot: UInt32, into feed: FeedID, key: ConversationKey, dialect: Int, isCompressed: Bool,
        tracksDeliveries: Bool, isLive: Bool,
        reportedThrough: SequenceNumber
    ) -> Int {
        while self.entries.count <= Int(feed.slot) { self.entries.append(Subscribers()) }
        if !self.isCurrent(feed) {
            self[feed] = Subscribers(
                feed: feed, key: key, isPersonalInbox: key.isPersonalInbox,
                reportedThrough: reportedThrough)
        }
        let group = self.group(feed, dialect, isCompressed, tracksDeliveries)
        if isLive {
            self[feed].groups[group].live.append(slot)
            return self[feed].groups[group].live.count - 1
        }
        self[feed].groups[group].catchingUp.append(slot)
        return self[feed].groups[group].catchingUp.count - 1
    }

    /// Groups of the same dialect are adjacent, so that an event is rendered once for all of them.
    private mutating func group(
        _ feed: FeedID, _ dialect: Int, _ isCompressed: Bool, _ tracksDeliveries: Bool
    ) -> Int {
        if let position = self[feed].groups.firstIndex(where: {
            $0.matches(dialect, isCompressed, tracksDeliveries)
        }) {
            return position
        }
        let position =
            self[feed].groups.firstIndex { $0.dialect > dialect } ?? self[feed].groups.count
        self[feed].groups.insert(
            Group(dialect: dialect, isCompressed: isCompressed, tracksDeliveries: tracksDeliveries),
            at: position)
        return position
    }

    /// - Returns: the connection that moved to the freed index, if any.
    mutating func remove(
        from feed: FeedID, dialect: Int, isCompressed: Bool, tracksDeliveries: Bool, isLive: Bool,
        position: Int
    ) -> UInt32? {
        guard self.isCurrent(feed),
            let group = self[feed].groups.firstIndex(where: {
                $0.matches(dialect, isCompressed, tracksDeliveries)
            })
        else {
            return nil
        }
        let moved =
            isLive
            ? Self.swapRemove(position, from: &self[feed].groups[group].live)
            : Self.swapRemove(position, from: &self[feed].groups[group].catchingUp)
        if self[feed].groups[group].live.isEmpty, self[feed].groups[group].catchingUp.isEmpty {
            self[feed].groups.remove(at: group)
        }
        if self[feed].groups.isEmpty { self[feed] = Subscribers() }
        return moved
    }

    private static func swapRemove(_ position: Int, from list: inout [UInt32]) -> UInt32? {
        guard let last = list.popLast(), position < list.count else { return nil }
        list[position] = last
        return last
    }
}
