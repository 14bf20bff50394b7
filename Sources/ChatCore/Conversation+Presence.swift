import Bytes
import ChatModel

/// Who of a conversation's people has come or gone without the others having been told.
struct PresenceNews: Sendable {
    /// Members whose announcement is due at a time of theirs.
    var due: [UInt32] = []
    /// Users with at least one connection that hears the conversation.
    var presentCount = 0
    /// Those of whom the others know: what they are told as the number present, so that it is always that of a moment.
    var announcedCount = 0
    /// Too many to tell of each.
    var isCrowd = false
    /// It was a crowd, which knows numbers only: everybody is to be named again.
    var mustNameAll = false
    /// More are known to be online, of whom those who listen to this crowd have heard no number.
    var isCountDue = false
    /// No announcement leaves before this monotonic millisecond.
    var nextAnnouncement: Int64 = 0
    /// When the last announcement left, as people read it.
    var since = Timestamp(milliseconds: 0)
    /// Whoever comes in is told of a crowd until everybody has been named to those who are in.
    var isToldAsCrowd: Bool { self.isCrowd || self.mustNameAll }
    /// When this owner began; 0 before.
    var bornAt: Int64 = 0
    /// Until then a new owner waits for whom the loops know to be online before it calls them offline.
    var reunionEnds: Int64 = 0
}

extension Conversation {
    mutating func appear(_ number: UInt32, on loop: OwnerID, at now: Moment, into effects: inout [ConversationEffect]) {
        let wasPresent = self.members[number].isPresent
        self.members[number].loops.insert(loop)
        guard !wasPresent else { return }
        self.members.updateActive(number)
        self.presence.presentCount += 1
        if self.presence.presentCount > self.rules.limits.crowdAbove {
            self.presence.isCrowd = true
            self.presence.mustNameAll = false
        }
        self.considerAnnouncing(number, at: now, into: &effects)
    }

    /// A loop on which this member was present has it no more.
    mutating func disappear(_ number: UInt32, from loop: OwnerID, at now: Moment, into effects: inout [ConversationEffect]) {
        self.members[number].loops.remove(loop)
        guard !self.members[number].isPresent else { return }
        self.members.updateActive(number)
        self.presence.presentCount -= 1
        if self.presence.isCrowd, self.presence.presentCount < self.rules.limits.crowdUntil {
            self.presence.isCrowd = false
            self.presence.mustNameAll = true
            self.wake(at: max(now.monotonic, self.presence.nextAnnouncement), into: &effects)
        }
        self.stopTyping(self.members[number].member.user, into: &effects)
        self.considerAnnouncing(number, at: now, into: &effects)
    }

    mutating func setAnnounced(_ number: UInt32, _ isAnnounced: Bool) {
        self.members[number].isTold = true
        guard self.members[number].isAnnounced != isAnnounced else { return }
        self.members[number].isAnnounced = isAnnounced
        self.presence.announcedCount += isAnnounced ? 1 : -1
        self.members.updateActive(number)
    }

    /// What the others believe of this member is compared with what is so; a blip ends before it is told.
    mutating func considerAnnouncing(_ number: UInt32, at now: Moment, into effects: inout [ConversationEffect]) {
        let isPresent = self.members[number].isPresent
        guard isPresent != self.members[number].isAnnounced else {
            self.members[number].announcementDue = 0
            return
        }
        guard self.members[number].announcementDue == 0 else { return }
        let due =
            isPresent
            ? max(now.monotonic, self.presence.nextAnnouncement)
            : max(now.monotonic + self.rules.blip, self.presence.reunionEnds)
        self.members[number].announcementDue = due
        if !self.members[number].isListedAsDue {
            self.members[number].isListedAsDue = true
            self.presence.due.append(number)
        }
        if due <= now.monotonic {
            self.announcePresence(at: now, into: &effects)
        } else {
            self.wake(at: due, into: &effects)
        }
    }

    /// Tells everybody, in one event, of all whose time has come.
    mutating func announcePresence(at now: Moment, into effects: inout [ConversationEffect]) {
        guard !self.presence.due.isEmpty || self.presence.mustNameAll || self.presence.isCountDue else { return }
        guard now.monotonic >= self.presence.nextAnnouncement else {
            self.wake(at: self.presence.nextAnnouncement, into: &effects)
            return
        }
        let changed = self.takeDue(at: now, into: &effects)
        guard !changed.isEmpty || self.presence.mustNameAll || self.presence.isCountDue && self.presence.isCrowd else { return }
        self.presence.isCountDue = false
        self.presence.since = now.wall
        if self.presence.isCrowd {
            self.presence.nextAnnouncement = now.monotonic + self.rules.crowdInterval
        } else if self.presence.presentCount > 1 {
            // Who is alone has nobody to spare: the next one who comes is announced at once.
            self.presence.nextAnnouncement = now.monotonic + self.rules.arrivals
        }
        if self.presence.isCrowd {
            let told = changed.suffix(self.rules.limits.crowdChanges)
            effects.append(.event(.crowd(online: self.presence.announcedCount, self.changes(told, at: now)), revision: 0, asked: nil))
        } else if self.presence.mustNameAll {
            self.presence.mustNameAll = false
            // Loops know whom they were told of and miss in this list.
            let there = self.members.active.filter { self.members[$0].isAnnounced }
            effects.append(.event(.presence(self.changes(there, at: now)), revision: 0, asked: nil))
        } else {
            effects.append(.event(.presence(self.changes(changed, at: now)), revision: 0, asked: nil))
        }
    }

    /// The members whose announcement is due; they count as announced.
    private mutating func takeDue(at now: Moment, into effects: inout [ConversationEffect]) -> [UInt32] {
        var changed: [UInt32] = []
        var later: [UInt32] = []
        var earliest = Int64.max
        for number in self.presence.due {
            let due = self.members[number].announcementDue
            if due > now.monotonic {
                later.append(number)
                earliest = min(earliest, due)
                continue
            }
            self.members[number].isListedAsDue = false
            if due == 0 { continue }
            self.members[number].announcementDue = 0
            self.setAnnounced(number, self.members[number].isPresent)
            changed.append(number)
        }
        self.presence.due = later
        if earliest != .max { self.wake(at: max(earliest, now.monotonic + 1), into: &effects) }
        return changed
    }

    func changes(_ numbers: some Sequence<UInt32>, at now: Moment) -> [PresenceChange] {
        numbers.map {
            PresenceChange(
                person: self.members[$0].person, isOnline: self.members[$0].isAnnounced, at: now.wall, isMember: self.members.isMember($0))
        }
    }
}
