import Bytes
import ChatModel

/// Who of a conversation's people has come or gone without the others having been told.
struct PresenceState: Sendable {
    /// Members whose announcement is due at a time of theirs.
    var dueMembers: [UInt32] = []
    /// Users with at least one connection that hears the conversation.
    var presentCount = 0
    /// Those of whom the others know: what they are told as the number present, so that it is always that of a moment.
    var announcedCount = 0
    /// Too many to tell of each.
    var isCrowd = false
    /// It was a crowd, which knows numbers only: everybody is to be named again.
    var needsFullList = false
    /// More are known to be online, of whom those who listen to this crowd have heard no number.
    var isCountDue = false
    /// No announcement leaves before this monotonic millisecond.
    var nextAnnouncement: Int64 = 0
    /// When the last announcement left, as people read it.
    var lastAnnouncedAt = Timestamp(milliseconds: 0)
    /// Whoever comes in is told of a crowd until everybody has been named to those who are in.
    var isReportedAsCrowd: Bool { self.isCrowd || self.needsFullList }
    /// When this owner began; 0 before.
    var startedAt: Int64 = 0
    /// Until then a new owner waits for whom the loops know to be online before it calls them offline.
    var graceEnds: Int64 = 0
}

extension Conversation {
    mutating func markPresent(
        _ number: UInt32, on loop: LoopID, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        let wasPresent = self.members[number].isPresent
        self.members[number].loops.insert(loop)
        guard !wasPresent else { return }
        self.members.updateActive(number)
        self.presence.presentCount += 1
        if self.presence.presentCount > self.rules.limits.crowdAbove {
            self.presence.isCrowd = true
            self.presence.needsFullList = false
        }
        self.scheduleAnnouncement(number, at: now, into: &effects)
    }

    /// A loop on which this member was present has it no more.
    mutating func markAbsent(
        _ number: UInt32, from loop: LoopID, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        self.members[number].loops.remove(loop)
        guard !self.members[number].isPresent else { return }
        self.members.updateActive(number)
        self.presence.presentCount -= 1
        if self.presence.isCrowd, self.presence.presentCount < self.rules.limits.crowdEndsBelow {
            self.presence.isCrowd = false
            self.presence.needsFullList = true
            self.wake(at: max(now.monotonic, self.presence.nextAnnouncement), into: &effects)
        }
        self.stopTyping(self.members[number].member.user, into: &effects)
        self.scheduleAnnouncement(number, at: now, into: &effects)
    }

    mutating func setAnnounced(_ number: UInt32, _ isAnnounced: Bool) {
        self.members[number].hasBeenAnnounced = true
        guard self.members[number].isAnnouncedOnline != isAnnounced else { return }
        self.members[number].isAnnouncedOnline = isAnnounced
        self.presence.announcedCount += isAnnounced ? 1 : -1
        self.members.updateActive(number)
    }

    /// What the others believe of this member is compared with what is so; a blip ends before it is told.
    mutating func scheduleAnnouncement(
        _ number: UInt32, at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        let isPresent = self.members[number].isPresent
        guard isPresent != self.members[number].isAnnouncedOnline else {
            self.members[number].announcementDue = 0
            return
        }
        guard self.members[number].announcementDue == 0 else { return }
        let due =
            isPresent
            ? max(now.monotonic, self.presence.nextAnnouncement)
            : max(now.monotonic + self.rules.minimumAbsence, self.presence.graceEnds)
        self.members[number].announcementDue = due
        if !self.members[number].isListedAsDue {
            self.members[number].isListedAsDue = true
            self.presence.dueMembers.append(number)
        }
        if due <= now.monotonic {
            self.announcePresence(at: now, into: &effects)
        } else {
            self.wake(at: due, into: &effects)
        }
    }

    /// Tells everybody, in one event, of all whose time has come.
    mutating func announcePresence(at now: ClockReading, into effects: inout [ConversationEffect]) {
        guard
            !self.presence.dueMembers.isEmpty || self.presence.needsFullList
                || self.presence.isCountDue
        else { return }
        guard now.monotonic >= self.presence.nextAnnouncement else {
            self.wake(at: self.presence.nextAnnouncement, into: &effects)
            return
        }
        let changed = self.removeDue(at: now, into: &effects)
        guard
            !changed.isEmpty || self.presence.needsFullList
                || self.presence.isCountDue && self.presence.isCrowd
        else { return }
        self.presence.isCountDue = false
        self.presence.lastAnnouncedAt = now.wall
        if self.presence.isCrowd {
            self.presence.nextAnnouncement = now.monotonic + self.rules.crowdInterval
        } else if self.presence.presentCount > 1 {
            // Who is alone has nobody to spare: the next one who comes is announced at once.
            self.presence.nextAnnouncement = now.monotonic + self.rules.arrivalInterval
        }
        if self.presence.isCrowd {
            let told = changed.suffix(self.rules.limits.crowdChangeLimit)
            effects.append(
                .event(
                    .crowd(
                        online: self.presence.announcedCount,
                        self.presenceChanges(of: told, at: now)), revision: 0, origin: nil))
        } else if self.presence.needsFullList {
            self.presence.needsFullList = false
            // Loops know whom they were told of and miss in this list.
            let there = self.members.active.filter { self.members[$0].isAnnouncedOnline }
            effects.append(
                .event(
                    .presence(self.presenceChanges(of: there, at: now)), revision: 0, origin: nil))
        } else {
            effects.append(
                .event(
                    .presence(self.presenceChanges(of: changed, at: now)), revision: 0, origin: nil)
            )
        }
    }

    /// The members whose announcement is due; they count as announced.
    private mutating func removeDue(at now: ClockReading, into effects: inout [ConversationEffect])
        -> [UInt32]
    {
        var changed: [UInt32] = []
        var later: [UInt32] = []
        var earliest = Int64.max
        for number in self.presence.dueMembers {
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
        self.presence.dueMembers = later
        if earliest != .max { self.wake(at: max(earliest, now.monotonic + 1), into: &effects) }
        return changed
    }

    func presenceChanges(of numbers: some Sequence<UInt32>, at now: ClockReading)
        -> [PresenceChange]
    {
        numbers.map {
            PresenceChange(
                person: self.members[$0].person, isOnline: self.members[$0].isAnnouncedOnline,
                at: now.wall, isMember: self.members.isMember($0))
        }
    }
}
