import Bytes
import ChatModel

/// Everybody a conversation knows, by a small number that never changes while the table lives.
///
/// Who has left keeps the number, because messages and receipts still name its author.
struct MemberTable: Sendable {
    struct Entry: Sendable {
        var member: Member
        var agent: ByteString?
        var isMember: Bool
        /// The loops on which this user is present.
        var loops = LoopSet()
        /// What the others were last told: that this user is online.
        var isAnnounced = false
        /// When a change of presence is due to be announced; 0 when there is none.
        var announcementDue: Int64 = 0
        /// A cursor has moved and is not yet stored.
        var isCursorDirty = false

        var person: Person { Person(id: self.member.user, name: self.member.name, agent: self.agent) }
        var isPresent: Bool { !self.loops.isEmpty }
    }

    private(set) var entries: [Entry] = []
    private(set) var memberCount = 0
    /// Kept only where scanning would be slower: most conversations have a handful of members.
    private var index: [UserID: UInt32] = [:]
    private static let scanLimit = 8

    init() {}

    init(_ members: [Member]) {
        self.entries.reserveCapacity(members.count)
        for member in members { _ = self.insert(member, isMember: true) }
    }

    subscript(number: UInt32) -> Entry {
        get { self.entries[Int(number)] }
        _modify { yield &self.entries[Int(number)] }
    }

    /// The number of somebody who is or was a member.
    func number(of user: UserID) -> UInt32? {
        if self.entries.count <= Self.scanLimit {
            return self.entries.firstIndex { $0.member.user == user }.map(UInt32.init)
        }
        return self.index[user]
    }

    /// The number of somebody who is a member.
    func member(_ user: UserID) -> UInt32? {
        guard let number = self.number(of: user), self[number].isMember else { return nil }
        return number
    }

    /// Adds somebody, or says again who it is.
    mutating func insert(_ member: Member, isMember: Bool) -> UInt32 {
        if let number = self.number(of: member.user) {
            if isMember != self[number].isMember { self.memberCount += isMember ? 1 : -1 }
            self[number].member = member
            self[number].isMember = isMember
            return number
        }
        let number = UInt32(self.entries.count)
        self.entries.append(Entry(member: member, agent: nil, isMember: isMember))
        if isMember { self.memberCount += 1 }
        if self.entries.count == Self.scanLimit + 1 {
            for (place, entry) in self.entries.enumerated() { self.index[entry.member.user] = UInt32(place) }
        } else if self.entries.count > Self.scanLimit {
            self.index[member.user] = number
        }
        return number
    }

    /// Somebody is no member any more.
    mutating func remove(_ number: UInt32) {
        guard self[number].isMember else { return }
        self[number].isMember = false
        self.memberCount -= 1
    }
}
