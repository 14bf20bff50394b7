import Bytes
import ChatModel

/// Everybody a conversation knows, by a small number that never changes while the table lives.
///
/// Who has left keeps the number, because messages and receipts still name its author.
struct MemberTable: Sendable {
    /// What every message asks of its author, apart from the rest: a few people stand in one line of the cache.
    private struct MemberKey: Sendable {
        var user: UserID
        var isMember: Bool
    }

    struct Entry: Sendable {
        var member: Member
        /// The loops on which this user is present.
        var loops = LoopSet()
        /// What the others were last told: that this user is online.
        var isAnnouncedOnline = false
        /// This owner has told the others something of this user: it knows better than any loop.
        var hasBeenAnnounced = false
        /// A cursor has moved and is not yet stored.
        var isCursorDirty = false
        /// It stands in the list of those whose announcement is due, where a blip that has ended stays until a tick.
        var isListedAsDue = false
        /// Where it stands among those who are there; -1 for those who are not.
        fileprivate var activeIndex: Int32 = -1
        /// When a change of presence is due to be announced; 0 when there is none.
        var announcementDue: Int64 = 0

        var person: Person {
            Person(id: self.member.user, name: self.member.name, agent: self.member.agent)
        }
        var isPresent: Bool { !self.loops.isEmpty }
    }

    private var keys: [MemberKey] = []
    private var entries: [Entry] = []
    private(set) var memberCount = 0
    /// Who is present, or was announced to be: few of many members.
    private(set) var active: [UInt32] = []
    /// Kept only where there are more than `scanLimit`: most conversations have a handful of members, and a scan of those takes no memory.
    private var index: [UserID: UInt32] = [:]
    private static let scanLimit = 24

    var count: Int { self.keys.count }

    /// Fetches what a search for somebody among a few reads.
    @inline(__always)
    func prefetch() {
        Prefetch.element(0, of: self.keys, bytes: 2 * MemoryLayout<MemberKey>.stride)
    }

    subscript(number: UInt32) -> Entry {
        get { self.entries[Int(number)] }
        _modify { yield &self.entries[Int(number)] }
    }

    /// Everybody who is a member, in the order of their coming.
    var members: [Member] {
        self.keys.indices.lazy.filter { self.keys[$0].isMember }.map { self.entries[$0].member }
    }

    /// The number of somebody who is or was a member.
    func number(of user: UserID) -> UInt32? {
        if self.keys.count <= Self.scanLimit {
            for place in self.keys.indices where self.keys[place].user == user {
                return UInt32(place)
            }
            return nil
        }
        return self.index[user]
    }

    /// The number of somebody who is a member.
    func memberNumber(of user: UserID) -> UInt32? {
        guard let number = self.number(of: user), self.keys[Int(number)].isMember else {
            return nil
        }
        return number
    }

    func isMember(_ number: UInt32) -> Bool {
        self.keys[Int(number)].isMember
    }

    /// Adds somebody, or says again who it is.
    mutating func insert(_ member: Member, isMember: Bool) -> UInt32 {
        if let number = self.number(of: member.user) {
            if isMember != self.isMember(number) { self.memberCount += isMember ? 1 : -1 }
            self.keys[Int(number)].isMember = isMember
            self[number].member = member
            return number
        }
        let number = UInt32(self.keys.count)
        self.keys.append(MemberKey(user: member.user, isMember: isMember))
        if self.entries.count == self.entries.capacity {
            // By a quarter, not by doubling: there may be very many conversations, and most of them have done growing.
            self.entries.reserveCapacity(self.entries.count + self.entries.count / 4 + 1)
        }
        self.entries.append(Entry(member: member))
        if isMember { self.memberCount += 1 }
        if self.keys.count == Self.scanLimit + 1 {
            for (place, name) in self.keys.enumerated() { self.index[name.user] = UInt32(place) }
        } else if self.keys.count > Self.scanLimit {
            self.index[member.user] = number
        }
        return number
    }

    /// Somebody is no member any more.
    mutating func remove(_ number: UInt32) {
        guard self.isMember(number) else { return }
        self.keys[Int(number)].isMember = false
        self.memberCount -= 1
    }

    /// Takes over who is a member according to the store. Numbers, presence and cursors that are further stay.
    mutating func reload(_ members: [Member]) {
        if self.keys.isEmpty {
            self.keys.reserveCapacity(members.count)
            self.entries.reserveCapacity(members.count)
        }
        for place in self.keys.indices { self.keys[place].isMember = false }
        self.memberCount = 0
        for member in members { _ = self.insert(self.withKnownCursors(member), isMember: true) }
    }

    /// The member with cursors that do not stand behind those that are known: neither ever moves back.
    func withKnownCursors(_ member: Member) -> Member {
        guard let known = self.number(of: member.user).map({ self[$0].member }) else {
            return member
        }
        var member = member
        member.readCursor = max(member.readCursor, known.readCursor)
        member.deliveredCursor = max(member.deliveredCursor, known.deliveredCursor)
        return member
    }

    /// Says that the member's text is this very object: comparing it with itself reads no bytes.
    mutating func reuseUserID(_ user: UserID, for number: UInt32) {
        self.keys[Int(number)].user = user
    }

    /// Notes whether somebody is to be found in `active`.
    mutating func updateActive(_ number: UInt32) {
        let isActive = self[number].isPresent || self[number].isAnnouncedOnline
        let place = self[number].activeIndex
        if isActive, place < 0 {
            self[number].activeIndex = Int32(self.active.count)
            self.active.append(number)
        } else if !isActive, place >= 0 {
            let last = self.active.removeLast()
            if last != number {
                self.active[Int(place)] = last
                self[last].activeIndex = place
            }
            self[number].activeIndex = -1
        }
    }
}
