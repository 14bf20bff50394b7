import Bytes
import ChatModel

/// The presence of a conversation's members: counts, and changes that are not announced yet.
struct PresenceState: Sendable {
    /// Members with a scheduled announcement, each with its own due time.
    var dueMembers: [UInt32] = []
    /// Users with at least one subscribed connection.
    var presentCount = 0
    /// Members announced as online. Events report this number, so that it is consistent with the
    /// announced changes.
    var announcedCount = 0
    /// Too many users are present to announce each of them.
    var isCrowd = false
    /// The conversation was a crowd, and its subscribers know counts only: the next event lists
    /// every member that is online.
    var needsFullList = false
    /// More members are known to be online, and the subscribers of the crowd have not received the
    /// count.
    var isCountDue = false
    /// Nothing is announced before this monotonic millisecond.
    var nextAnnouncement: Int64 = 0
    /// The wall clock at the last announcement.
    var lastAnnouncedAt = Timestamp(milliseconds: 0)
    /// A new subscriber gets counts until the other subscribers have got the full list.
    var isReportedAsCrowd: Bool { self.isCrowd || self.needsFullList }
    /// The monotonic millisecond when this owner first loaded the conversation; 0 before.
    var startedAt: Int64 = 0
    /// Until then a new owner waits for the loops' reports before it announces members as offline.
    var graceEnds: Int64 = 0
    /// Until then loops may have subscribers that they have not reported to this owner.
    let reportsDueBy: Int64

    init(ownedSince: Int64) { self.reportsDueBy = ownedSince + ConversationRules.presenceGrace }
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

    /// The loop has no connection of this member any more.
    mutating func markAbsent(
        _ number: UInt32, from loop: LoopID, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        self.members[number].loops.remove(loop)
        guard !self.members[number].isPresent else { return }
        self.members[number].absentSince = now.monotonic
        self.members.updateActive(number)
        self.presence.presentCount -= 1
        if self.presence.isCrowd,
            self.presence.presentCount < self.rules.limits.crowdEndsBelow
        {
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

    /// Schedules an announcement if a member's presence differs from the announced one. A short
    /// absence ends before it is announced.
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

    /// Announces all due changes in one event.
    mutating func announcePresence(at now: ClockReading, into effects: inout [ConversationEffect]) {
        guard
            !self.presence.dueMembers.isEmpty || self.presence.needsFullList
                || self.presence.isCountDue
        else { return }
        guard now.monotonic >= self.presence.nextAnnouncement else {
            self.wake(at: self.presence.nextAnnouncement, into: &effects)
            return
        }
        var changed = self.removeDue(at: now, into: &effects)
        changed += self.presentGuests(withIDsOf: changed)
        guard
            !changed.isEmpty || self.presence.needsFullList
                || self.presence.isCountDue && self.presence.isCrowd
        else { return }
        self.presence.isCountDue = false
        self.presence.lastAnnouncedAt = now.wall
        if self.presence.isCrowd {
            self.presence.nextAnnouncement = now.monotonic + self.rules.crowdInterval
        } else if self.presence.presentCount > 1 {
            // While only one user is present, a burst disturbs no other user: the next arrival is
            // announced at once.
            self.presence.nextAnnouncement = now.monotonic + self.rules.arrivalInterval
        }
        if self.presence.isCrowd {
            let newest = changed.suffix(self.rules.limits.crowdChangeLimit)
            let changes = self.presenceChanges(of: newest, at: now)
            effects.append(
                .event(
                    .crowd(online: self.presence.announcedCount, changes), revision: 0, origin: nil)
            )
        } else if self.presence.needsFullList {
            self.presence.needsFullList = false
            // Loops mark the members offline that they know as online and that this list lacks.
            let online = self.members.active.filter { self.members[$0].isAnnouncedOnline }
            effects.append(
                .event(
                    .presence(self.presenceChanges(of: online, at: now)), revision: 0, origin: nil))
        } else {
            effects.append(
                .event(
                    .presence(self.presenceChanges(of: changed, at: now)), revision: 0, origin: nil)
            )
        }
    }

    /// The present guests whose ids others have that went offline. They are announced again, after
    /// those: clients that know only ids would take them for offline, too.
    private func presentGuests(withIDsOf numbers: [UInt32]) -> [UInt32] {
        numbers.filter { !self.members[$0].isAnnouncedOnline }.flatMap {
            self.presentGuests(withIDOf: self.members[$0].member.user)
        }
    }

    func presentGuests(withIDOf user: UserID) -> [UInt32] {
        guard user.isConnectionGuest else { return [] }
        return self.members.memberNumbers(lookingLike: user).filter {
            self.members[$0].isAnnouncedOnline
        }
    }

    /// Removes the members whose announcement is due, and marks them as announced.
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
