import ChatModel
import Cluster

/// Who on this loop hears which conversation, by dialect and compression: those get the same bytes.
struct SubscriberIndex {
    struct Group {
        let dialect: Int
        let isCompressed: Bool
        /// Their sessions are told of each message, and add what is theirs alone.
        let isPersonal: Bool
        /// Those who hear everything.
        var live: [UInt32] = []
        /// Those who catch up: they get the messages by replay and everything else at once.
        var catchingUp: [UInt32] = []

        func matches(_ dialect: Int, _ isCompressed: Bool, _ isPersonal: Bool) -> Bool {
            self.dialect == dialect && self.isCompressed == isCompressed
                && self.isPersonal == isPersonal
        }
    }

    struct Subscribers {
        /// Whose it is: a feed's slot is given out again.
        var feed: FeedID?
        var key: ConversationKey?
        var groups: [Group] = []
        /// What comes is for sessions to look at, each by itself.
        var isPersonal = false
        /// The newest message of which the owner was told that somebody has it.
        var reportedThrough: SequenceNumber = 0
        /// A message went out in this turn, or nobody had taken it yet.
        var isReportDue = false
        /// It is looked at after this turn's writes.
        var isReportQueued = false
        /// Somebody who catches up knows of more messages than the feed has shown.
        var hasWaitingCatchUp = false
        /// Who wrote what is to be reported, as long as it is one; what one has written oneself needs no report.
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

    /// Whether anybody hears this feed.
    func isCurrent(_ feed: FeedID) -> Bool {
        Int(feed.slot) < self.entries.count && self.entries[Int(feed.slot)].feed == feed
    }

    /// - Parameter reportedThrough: where reports begin, if this is the first listener.
    /// - Returns: the listener's place in its group's list.
    mutating func insert(
        _ slot: UInt32, into feed: FeedID, key: ConversationKey, dialect: Int, isCompressed: Bool,
        isPersonal: Bool, isLive: Bool,
        reportedThrough: SequenceNumber
    ) -> Int {
        while self.entries.count <= Int(feed.slot) { self.entries.append(Subscribers()) }
        if !self.isCurrent(feed) {
            self[feed] = Subscribers(
                feed: feed, key: key, isPersonal: key.isPersonalInbox,
                reportedThrough: reportedThrough)
        }
        let group = self.group(feed, dialect, isCompressed, isPersonal)
        if isLive {
            self[feed].groups[group].live.append(slot)
            return self[feed].groups[group].live.count - 1
        }
        self[feed].groups[group].catchingUp.append(slot)
        return self[feed].groups[group].catchingUp.count - 1
    }

    /// Groups of a dialect stand side by side, so that an event is rendered once for both.
    private mutating func group(
        _ feed: FeedID, _ dialect: Int, _ isCompressed: Bool, _ isPersonal: Bool
    ) -> Int {
        if let place = self[feed].groups.firstIndex(where: {
            $0.matches(dialect, isCompressed, isPersonal)
        }) {
            return place
        }
        let place = self[feed].groups.firstIndex { $0.dialect > dialect } ?? self[feed].groups.count
        self[feed].groups.insert(
            Group(dialect: dialect, isCompressed: isCompressed, isPersonal: isPersonal), at: place)
        return place
    }

    /// - Returns: the connection that has taken the freed place, if one had to move.
    mutating func remove(
        from feed: FeedID, dialect: Int, isCompressed: Bool, isPersonal: Bool, isLive: Bool,
        position place: Int
    ) -> UInt32? {
        guard self.isCurrent(feed),
            let group = self[feed].groups.firstIndex(where: {
                $0.matches(dialect, isCompressed, isPersonal)
            })
        else {
            return nil
        }
        let moved =
            isLive
            ? Self.swapRemove(place, from: &self[feed].groups[group].live)
            : Self.swapRemove(place, from: &self[feed].groups[group].catchingUp)
        if self[feed].groups[group].live.isEmpty, self[feed].groups[group].catchingUp.isEmpty {
            self[feed].groups.remove(at: group)
        }
        if self[feed].groups.isEmpty { self[feed] = Subscribers() }
        return moved
    }

    private static func swapRemove(_ place: Int, from list: inout [UInt32]) -> UInt32? {
        guard let last = list.popLast(), place < list.count else { return nil }
        list[place] = last
        return last
    }
}
