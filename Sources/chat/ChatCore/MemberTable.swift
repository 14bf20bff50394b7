import Bytes
import ChatModel

/// The members and former members of a conversation, by a small number that never changes while the
/// table exists.
///
/// A former member keeps its number, because messages and receipts still name their author.
struct MemberTable: Sendable {
    /// The part of an entry that every message reads, apart from the rest: a few members share one
    /// cache line.
    private struct MemberKey: Sendable {
        var user: UserID
        var isMember: Bool
    }

    struct Entry: Sendable {
        var member: Member
        /// The loops on which this user is present.
        var loops = LoopSet()
        /// The last announcement said that this user is online.
        var isAnnouncedOnline = false
        /// This owner has announced something of this user, and so knows better than any loop.
        var hasBeenAnnounced = false
        /// A cursor has moved and is not yet stored.
        var isCursorDirty = false
        /// The member is in `dueMembers`. After a short absence it stays there until the next tick.
        var isListedAsDue = false
        /// The index in `active`; -1 if the member is not there.
        fileprivate var activeIndex: Int32 = -1
        /// When a presence change is to be announced; 0 if there is none.
        var announcementDue: Int64 = 0
        /// When this owner has last seen the user leave, in monotonic milliseconds.
        var absentSince: Int64?

        var person: Person {
            Person(id: self.member.user, name: self.member.name, agent: self.member.agent)
        }
        var isPresent: Bool { !self.loops.isEmpty }
    }

    private var keys: [MemberKey] = []
    private var entries: [Entry] = []
    private(set) var memberCount = 0
    /// The former members that were removed and not added again.
    private(set) var removedCount = 0
    /// Members that are present or announced as online: few of many.
    private(set) var active: [UInt32] = []
    /// Filled only above `scanLimit` entries. Most conversations have a handful of members, and a
    /// scan of those needs no memory.
    private var index: [UserID: UInt32] = [:]
    /// The guests in `index` that are members or were removed, by their names.
    private var guests: [ByteString: [UInt32]] = [:]
    private static let scanLimit = 24
    /// Where the search for an absent guest continues. It goes around, so that each guest is passed
    /// once before any is passed again.
    private var guestSearchStart = 0
    /// All entries in the order of their users' ids. Filled by the first page of members, because
    /// most conversations are never listed so.
    private var byID: [UInt32]?
    /// The last search found none, and no guest has come or become absent since.
    private var hasNoAbsentGuest = false

    var count: Int { self.keys.count }

    /// Prefetches the memory that a search among few members reads.
    @inline(__always)
    func prefetch() {
        Prefetch.element(0, of: self.keys, bytes: 2 * MemoryLayout<MemberKey>.stride)
    }

    subscript(number: UInt32) -> Entry {
        get { self.entries[Int(number)] }
        _modify { yield &self.entries[Int(number)] }
    }

    /// All members, in the order in which they joined.
    var members: [Member] {
        self.keys.indices.lazy.filter { self.keys[$0].isMember }.map { self.entries[$0].member }
    }

    /// The number of a member or former member.
    func number(of user: UserID) -> UInt32? {
        if self.keys.count <= Self.scanLimit {
            for index in self.keys.indices where self.keys[index].user == user {
                return UInt32(index)
            }
            return nil
        }
        return self.index[user]
    }

    /// The number of a member.
    func memberNumber(of user: UserID) -> UInt32? {
        guard let number = self.number(of: user), self.keys[Int(number)].isMember else {
            return nil
        }
        return number
    }

    /// The members and the removed users that other users see under the id of this user: several,
    /// if they are guests.
    func numbers(lookingLike user: UserID) -> [UInt32] {
        guard user.isAnonymous else { return self.number(of: user).map { [$0] } ?? [] }
        guard self.keys.count <= Self.scanLimit else { return self.guests[user.name] ?? [] }
        return self.keys.indices.lazy.filter { self.keys[$0].user.looksLike(user) }.map {
            UInt32($0)
        }
    }

    /// The number of a member, or of a guest that other users see under its id.
    func memberNumber(lookingLike user: UserID) -> UInt32? {
        self.memberNumber(of: user) ?? self.numbers(lookingLike: user).first(where: self.isMember)
    }

    /// The members among them.
    func memberNumbers(lookingLike user: UserID) -> [UInt32] {
        self.numbers(lookingLike: user).filter(self.isMember)
    }

    /// A guest that is a member but not the creator, not present, and not announced as online; nil
    /// if there is none.
    mutating func nextAbsentGuest() -> UInt32? {
        guard !self.hasNoAbsentGuest else { return nil }
        for offset in 0..<self.keys.count {
            let index = (self.guestSearchStart + offset) % self.keys.count
            guard self.keys[index].isMember, self.keys[index].user.isAnonymous,
                self.entries[index].activeIndex < 0,
                self.entries[index].member.role != .creator
            else { continue }
            self.guestSearchStart = index + 1
            return UInt32(index)
        }
        self.hasNoAbsentGuest = true
        return nil
    }

    func isMember(_ number: UInt32) -> Bool {
        self.keys[Int(number)].isMember
    }

    func isRemoved(_ number: UInt32) -> Bool {
        !self.isMember(number) && self[number].member.role == .removed
    }

    /// Adds the step to the count to which the entry belongs.
    private mutating func count(_ number: UInt32, by step: Int) {
        if self.isMember(number) {
            self.memberCount += step
        } else if self.isRemoved(number) {
            self.removedCount += step
        }
    }

    /// See `Member.readCursor`. Copies nothing else.
    func readCursor(of number: UInt32) -> SequenceNumber {
        self.entries[Int(number)].member.readCursor
    }

    /// The members after this user, up to the limit, in the order of their ids.
    mutating func page(after user: UserID?, limit: Int) -> [UInt32] {
        if self.byID == nil {
            self.byID = self.keys.indices.map { UInt32($0) }.sorted {
                self.keys[Int($0)].user < self.keys[Int($1)].user
            }
        }
        let byID = self.byID ?? []
        let start =
            user.map { user in byID.partitioningIndex { self.keys[Int($0)].user > user } } ?? 0
        return Array(byID[start...].lazy.filter(self.isMember).prefix(limit))
    }

    /// Adds a user, or updates its entry.
    mutating func insert(_ member: Member, isMember: Bool) -> UInt32 {
        self.hasNoAbsentGuest = false
        if let number = self.number(of: member.user) {
            self.count(number, by: -1)
            self.keys[Int(number)].isMember = isMember
            self[number].member = member
            self.count(number, by: 1)
            if self.keys.count > Self.scanLimit { self.indexGuest(number) }
            return number
        }
        let number = UInt32(self.keys.count)
        self.keys.append(MemberKey(user: member.user, isMember: isMember))
        if self.entries.count == self.entries.capacity {
            // By a quarter, not by doubling: there may be very many conversations, and most of them
            // do not grow any more.
            self.entries.reserveCapacity(self.entries.count + self.entries.count / 4 + 1)
        }
        self.entries.append(Entry(member: member))
        let place = self.byID?.partitioningIndex { self.keys[Int($0)].user >= member.user }
        if let place { self.byID?.insert(number, at: place) }
        self.count(number, by: 1)
        if self.keys.count == Self.scanLimit + 1 {
            for (index, key) in self.keys.enumerated() {
                self.index[key.user] = UInt32(index)
                self.indexGuest(UInt32(index))
            }
        } else if self.keys.count > Self.scanLimit {
            self.index[member.user] = number
            self.indexGuest(number)
        }
        return number
    }

    private mutating func indexGuest(_ number: UInt32) {
        let user = self.keys[Int(number)].user
        guard user.isAnonymous, self.isMember(number) || self[number].member.role == .removed,
            self.guests[user.name]?.contains(number) != true
        else { return }
        self.guests[user.name, default: []].append(number)
    }

    /// Ends a membership.
    ///
    /// - Parameter role: the role by which the conversation remembers the former member.
    mutating func remove(_ number: UInt32, rememberedAs role: Member.Role?) {
        guard self.isMember(number) else { return }
        self.count(number, by: -1)
        self.keys[Int(number)].isMember = false
        if let role { self[number].member.role = role }
        self.count(number, by: 1)
        let user = self.keys[Int(number)].user
        if user.isAnonymous, role != .removed, self.keys.count > Self.scanLimit {
            self.guests[user.name]?.removeAll { $0 == number }
            if self.guests[user.name]?.isEmpty == true { self.guests[user.name] = nil }
        }
    }

    /// Replaces the memberships, and the former members to remember, with those in the store.
    /// Numbers, presence and higher cursors stay.
    mutating func reload(_ members: [Member]) {
        if self.keys.isEmpty {
            self.keys.reserveCapacity(members.count)
            self.entries.reserveCapacity(members.count)
        }
        for index in self.keys.indices {
            self.keys[index].isMember = false
            self.entries[index].member.role = .member
        }
        (self.memberCount, self.removedCount) = (0, 0)
        for member in members {
            _ = self.insert(self.withKnownCursors(member), isMember: member.role.isMember)
        }
    }

    /// The member with the known cursors where they are higher: neither ever moves back.
    func withKnownCursors(_ member: Member) -> Member {
        guard let known = self.number(of: member.user).map({ self[$0].member }) else {
            return member
        }
        var member = member
        member.readCursor = max(member.readCursor, known.readCursor)
        member.deliveredCursor = max(member.deliveredCursor, known.deliveredCursor)
        return member
    }

    /// Stores this very object as the member's id: comparing it with itself reads no bytes.
    mutating func reuseUserID(_ user: UserID, for number: UInt32) {
        self.keys[Int(number)].user = user
    }

    /// Adds the member to `active` or removes it.
    mutating func updateActive(_ number: UInt32) {
        let isActive = self[number].isPresent || self[number].isAnnouncedOnline
        let index = self[number].activeIndex
        if isActive, index < 0 {
            self[number].activeIndex = Int32(self.active.count)
            self.active.append(number)
        } else if !isActive, index >= 0 {
            let last = self.active.removeLast()
            if last != number {
                self.active[Int(index)] = last
                self[last].activeIndex = index
            }
            self[number].activeIndex = -1
            self.hasNoAbsentGuest = false
        }
    }
}
