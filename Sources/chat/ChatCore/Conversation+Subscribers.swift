import Bytes
public import ChatModel

/// The loops that subscribe to a conversation, and what they report.
extension Conversation {
    /// A loop reports its subscribers, after a gap or a change of owners.
    mutating func attach(
        _ attachment: Attachment, from origin: RequestOrigin, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        guard self.lifecycle != .missing || self.isInbox else {
            effects.append(.answer(.failed(.noSuchConversation), to: origin))
            return
        }
        guard !self.isBehind(attachment) else {
            // The loop retries in a moment, when the store has answered.
            effects.append(.answer(.failed(.unavailable), to: origin))
            effects.append(.invalidate)
            return
        }
        self.subscribers.insert(
            origin.loop, feedSlot: origin.feedSlot, attachedAtRevision: self.revision)
        self.acceptPresence(attachment.knownOnline, at: now, into: &effects)
        var present = Set<UInt32>()
        for person in attachment.present + attachment.joining where !self.isInbox {
            guard let number = self.members.memberNumber(of: person.id) else { continue }
            present.insert(number)
            self.markPresent(number, on: origin.loop, at: now, into: &effects)
        }
        // A subscriber that is not a member has missed the event of its leaving.
        for person in attachment.present
        where !self.isInbox && self.members.memberNumber(of: person.id) == nil {
            let former = self.members.number(of: person.id).map { self.members[$0].member }
            let member =
                former
                ?? Member(user: person.id, name: person.name, role: .member, joinedAt: now.wall)
            effects.append(.notify(.left(member, at: now.wall), LoopSet(origin.loop)))
        }
        for number in self.members.active
        where self.members[number].loops.contains(origin.loop) && !present.contains(number) {
            self.markAbsent(number, from: origin.loop, at: now, into: &effects)
        }
        effects.append(.answer(.joined(self.joinResult(including: { _ in true })), to: origin))
        // A new owner must load the recent messages before it knows their authors. The reports wait
        // for that.
        for report in attachment.delivered {
            self.handle(
                .delivered(report.user, report.range),
                from: RequestOrigin(loop: origin.loop, request: 0), at: now, into: &effects)
        }
    }

    /// Accepts a loop's report of the users that are online, while this owner is new.
    ///
    /// A new owner does not know which members are online. Most other loops have the report too
    /// and will not deliver it again. Subscribers that joined under this owner do not have it.
    private mutating func acceptPresence(
        _ people: [Person], at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        var reported: [UInt32] = []
        let graceEnds = self.presence.startedAt + ConversationRules.presenceGrace
        for person in people where now.monotonic < graceEnds && !self.isInbox {
            self.presence.graceEnds = graceEnds
            guard let number = self.members.memberNumber(of: person.id),
                !self.members[number].hasBeenAnnounced
            else { continue }
            self.setAnnounced(number, true)
            self.scheduleAnnouncement(number, at: now, into: &effects)
            reported.append(number)
        }
        if !reported.isEmpty {
            if self.presence.isReportedAsCrowd {
                self.presence.isCountDue = true
                self.announcePresence(at: now, into: &effects)
            } else {
                effects.append(
                    .event(
                        .presence(self.presenceChanges(of: reported, at: now)), revision: 0,
                        origin: nil
                    )
                )
            }
        }
    }

    /// Removes a loop that has no subscribers any more or is gone.
    public mutating func detach(
        _ loop: LoopID, at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        self.subscribers.remove(loop)
        for number in self.members.active where self.members[number].loops.contains(loop) {
            self.markAbsent(number, from: loop, at: now, into: &effects)
        }
    }

    /// Removes the loops of nodes that are gone, and drops their waiting requests.
    ///
    /// - Parameter incarnations: the incarnations of the nodes.
    public mutating func removeNodes(
        _ incarnations: Set<UInt64>, at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        self.waitingInputs.removeAll {
            !$0.input.isOffer && incarnations.contains($0.origin.loop.incarnation)
        }
        for subscriber in self.subscribers.all
        where incarnations.contains(subscriber.loop.incarnation) {
            self.detach(subscriber.loop, at: now, into: &effects)
        }
    }

    mutating func unsubscribe(
        _ user: UserID, from loop: LoopID, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        guard let number = self.members.number(of: user), self.members[number].loops.contains(loop)
        else { return }
        self.markAbsent(number, from: loop, at: now, into: &effects)
    }
}
