import Bytes
import ChatModel

/// Who of a conversation's people has come or gone without the others having been told.
struct PresenceNews: Sendable {
    /// Members whose announcement is due at a time of theirs.
    var due: [UInt32] = []
    /// Users with at least one connection that hears the conversation.
    var presentCount = 0
    /// Too many to tell of each.
    var isCrowd = false
    /// No announcement leaves before this monotonic millisecond.
    var nextAnnouncement: Int64 = 0
    /// When the last announcement left, as people read it.
    var since = Timestamp(milliseconds: 0)
}

extension Conversation {
    mutating func appear(_ number: UInt32, on loop: OwnerID, at now: Moment, into effects: inout [ConversationEffect]) {
        let wasPresent = self.members[number].isPresent
        self.members[number].loops.insert(loop)
        guard !wasPresent else { return }
        self.presence.presentCount += 1
        if self.presence.presentCount > self.limits.crowdAbove { self.presence.isCrowd = true }
        self.considerAnnouncing(number, at: now, into: &effects)
    }

    mutating func disappear(_ number: UInt32, from loop: OwnerID, at now: Moment, into effects: inout [ConversationEffect]) {
        guard self.members[number].isPresent else { return }
        self.members[number].loops.remove(loop)
        guard !self.members[number].isPresent else { return }
        self.presence.presentCount -= 1
        if self.presence.presentCount < self.limits.crowdUntil { self.presence.isCrowd = false }
        self.stopTyping(self.members[number].member.user, into: &effects)
        self.considerAnnouncing(number, at: now, into: &effects)
    }

    /// What the others believe of this member is compared with what is so; a blip ends before it is told.
    mutating func considerAnnouncing(_ number: UInt32, at now: Moment, into effects: inout [ConversationEffect]) {
        let entry = self.members[number]
        guard entry.isPresent != entry.isAnnounced else {
            self.members[number].announcementDue = 0
            return
        }
        guard entry.announcementDue == 0 else { return }
        let due = entry.isPresent ? max(now.monotonic, self.presence.nextAnnouncement) : now.after(self.limits.blip)
        self.members[number].announcementDue = due
        self.presence.due.append(number)
        if due <= now.monotonic {
            self.announcePresence(at: now, into: &effects)
        } else {
            self.wake(at: due, into: &effects)
        }
    }

    /// Tells everybody, in one event, of all whose time has come.
    mutating func announcePresence(at now: Moment, into effects: inout [ConversationEffect]) {
        guard !self.presence.due.isEmpty else { return }
        guard now.monotonic >= self.presence.nextAnnouncement else {
            self.wake(at: self.presence.nextAnnouncement, into: &effects)
            return
        }
        var changes: [PresenceChange] = []
        var later: [UInt32] = []
        var earliest = Int64.max
        for number in self.presence.due {
            let due = self.members[number].announcementDue
            if due == 0 { continue }
            if due > now.monotonic {
                later.append(number)
                earliest = min(earliest, due)
                continue
            }
            self.members[number].announcementDue = 0
            let isPresent = self.members[number].isPresent
            self.members[number].isAnnounced = isPresent
            changes.append(PresenceChange(person: self.members[number].person, isOnline: isPresent, at: now.wall))
        }
        self.presence.due = later
        if earliest != .max { self.wake(at: earliest, into: &effects) }
        guard !changes.isEmpty else { return }
        self.presence.since = now.wall
        self.presence.nextAnnouncement = now.after(self.presence.isCrowd ? self.limits.crowdInterval : self.limits.arrivals)
        if self.presence.isCrowd {
            effects.append(.event(.crowd(online: self.presence.presentCount, changes.suffix(self.limits.crowdChanges)), revision: 0, asked: nil))
        } else {
            effects.append(.event(.presence(changes), revision: 0, asked: nil))
        }
    }
}
