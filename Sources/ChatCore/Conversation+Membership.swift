import Bytes
public import ChatModel

extension Conversation {
    mutating func join(
        _ entrance: JoinRequest, subscribing listening: Bool, from origin: RequestOrigin,
        at now: ClockReading, into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        guard !self.isInbox else {
            return self.subscribeToInbox(
                as: entrance.principal.person, from: origin, into: &effects)
        }
        let person = entrance.principal.person
        // Also of one who was a member before: others take the two for one.
        if person.id.isAnonymous,
            self.members.memberNumber(of: UserID(tokenSubject: person.id.name)) != nil
        {
            throw .idTaken
        }
        let known = self.members.memberNumber(of: person.id)
        let isMade = self.lifecycle == .missing
        if isMade {
            guard entrance.isListedInToken else {
                throw listening ? .accessDenied : .noSuchConversation
            }
        } else {
            guard known != nil || entrance.isListedInToken || self.record?.joinPolicy == .open
            else { throw .accessDenied }
        }
        guard known != nil || self.members.memberCount < self.rules.limits.membersPerConversation
        else {
            throw .tooManyMembers(limit: self.rules.limits.membersPerConversation)
        }
        guard known != nil || !self.areWritesUnavailable else { throw .unavailable }
        if isMade {
            self.writeCreation(
                ConversationRecord(
                    joinPolicy: entrance.kind.joinPolicy, kind: entrance.kind, creator: person.id,
                    createdAt: now.wall),
                into: &effects)
        }
        var member =
            known.map { self.members[$0].member }
            ?? Member(
                user: person.id, name: person.name, agent: person.agent,
                role: isMade ? .creator : .member, joinedAt: now.wall)
        if known == nil,
            let before = self.members.number(of: person.id).map({ self.members[$0].member })
        {
            // Who comes back has read what it had read.
            member.readCursor = before.readCursor
            member.deliveredCursor = before.deliveredCursor
        }
        if known == nil, entrance.marksHistoryRead {
            member.readCursor = max(member.readCursor, self.storedHead)
        }
        // While the store is away everybody keeps the name that it has.
        let isRenamed =
            (member.name != person.name || member.agent != person.agent)
            && !self.areWritesUnavailable
        if known == nil || isRenamed { (member.name, member.agent) = (person.name, person.agent) }
        let number = self.members.insert(member, isMember: true)
        self.members.reuseUserID(person.id, for: number)
        if listening {
            self.subscribers.insert(
                origin.loop, feedSlot: origin.feedSlot, attachedAtRevision: self.revision)
            self.markPresent(number, on: origin.loop, at: now, into: &effects)
        }
        if known == nil || isRenamed {
            self.write(
                .member(member), then: .member(number, isJoin: known == nil), from: origin,
                into: &effects)
        } else if let place = self.pendingChanges.lastIndex(where: { $0.isJoin(of: number) }) {
            self.pendingChanges[place].addRequester(origin)
        } else {
            effects.append(.answer(self.joinAnswer(for: number, isNew: false), to: origin))
        }
    }

    /// Nothing is written for somebody who only listens: very many do, and most inboxes stay empty.
    private mutating func subscribeToInbox(
        as person: Person, from origin: RequestOrigin, into effects: inout [ConversationEffect]
    ) {
        self.subscribers.insert(
            origin.loop, feedSlot: origin.feedSlot, attachedAtRevision: self.revision)
        var entered = self.joinResult(including: { _ in false })
        entered.member = self.memberWithHighestReadCursor(for: person)
        effects.append(.answer(.joined(entered), to: origin))
    }

    /// An inbox may be several users': what has come to one of them has come to whom it was addressed to.
    private func memberWithHighestReadCursor(for person: Person) -> Member? {
        let settled = (0..<UInt32(self.members.count)).lazy.filter(self.members.isMember).map {
            self.members[$0].member
        }
        guard var member = settled.max(by: { $0.readCursor < $1.readCursor }) else { return nil }
        member.user = person.id
        return member
    }

    /// What a member who has come in is told.
    func joinAnswer(for number: UInt32, isNew: Bool) -> ChatAnswer {
        var entered = self.joinResult(including: { $0 != number })
        entered.member = self.members[number].member
        entered.isNewMember = isNew
        return .joined(entered)
    }

    /// - Parameter isTold: of whom the receiver is to hear.
    private func joinResult(including isTold: (UInt32) -> Bool) -> JoinResult {
        var present: [PresenceChange] = []
        if !self.presence.isReportedAsCrowd {
            for other in self.members.active
            where self.members[other].isAnnouncedOnline && isTold(other) {
                present.append(
                    PresenceChange(
                        person: self.members[other].person, isOnline: true,
                        at: self.presence.lastAnnouncedAt))
            }
        }
        // An end that is on its way is told when it has been stored.
        let isEnding = self.pendingChanges.contains {
            if case .ended = $0.kind { true } else { false }
        }
        let ended =
            isEnding
            ? nil
            : self.record?.endedAt.map {
                ConversationEnd(
                    by: self.endedBy ?? self.record?.creator ?? UserID(storageKey: ""), at: $0)
            }
        return JoinResult(
            head: self.storedHead, oldest: self.oldest, revision: self.storedRevision, ended: ended,
            present: present,
            presentCount: self.presence.announcedCount, isCrowd: self.presence.isReportedAsCrowd)
    }

    // MARK: Making

    /// The first change of all.
    mutating func writeCreation(
        _ record: ConversationRecord, into effects: inout [ConversationEffect]
    ) {
        self.record = record
        self.write(.create(record), then: .created, into: &effects)
    }

    /// The conversation with all its first members; answered when the last of them is stored.
    mutating func create(
        _ founding: NewConversation, from origin: RequestOrigin, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        guard !self.isInbox else { throw .accessDenied }
        if let record = self.record {
            guard origin.isRetry, record.kind == founding.kind,
                record.creator == founding.creator.person.id,
                record.title == founding.title, record.dialectData == founding.dialectData
            else { throw .conversationExists }
            if let place = self.pendingChanges.lastIndex(where: { !$0.creationRequesters.isEmpty })
            {
                if !self.pendingChanges[place].creationRequesters.contains(where: {
                    $0.isSame(as: origin)
                }) {
                    self.pendingChanges[place].creationRequesters.append(origin)
                }
            } else {
                self.answerDetails(to: origin, into: &effects)
            }
            return
        }
        guard founding.members.count <= self.rules.limits.membersPerConversation else {
            throw .tooManyMembers(limit: self.rules.limits.membersPerConversation)
        }
        guard !self.areWritesUnavailable else { throw .unavailable }
        let creator = founding.creator.person.id
        self.writeCreation(
            ConversationRecord(
                joinPolicy: founding.kind.joinPolicy, kind: founding.kind, title: founding.title,
                dialectData: founding.dialectData, creator: creator,
                createdAt: now.wall), into: &effects)
        for person in founding.members where self.members.memberNumber(of: person.id) == nil {
            let member = Member(
                user: person.id, name: person.name, agent: person.agent,
                role: person.id == creator ? .creator : .member,
                joinedAt: now.wall)
            let number = self.members.insert(member, isMember: true)
            self.write(.member(member), then: .member(number, isJoin: true), into: &effects)
        }
        self.pendingChanges[self.pendingChanges.count - 1].creationRequesters = [origin]
    }

    mutating func leave(
        _ user: UserID, from origin: RequestOrigin, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        guard self.lifecycle != .missing else { throw .noSuchConversation }
        guard let number = self.members.memberNumber(of: user) else {
            guard origin.isRetry else { throw .notAMember }
            self.answerAlreadyDone(origin, into: &effects) {
                if case .left(let member, _) = $0 { member.user == user } else { false }
            }
            return
        }
        guard !self.areWritesUnavailable else { throw .unavailable }
        let member = self.members[number].member
        self.members.remove(number)
        self.write(.remove(user), then: .left(member, at: now.wall), from: origin, into: &effects)
    }

    mutating func end(
        by actor: Principal, from origin: RequestOrigin, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        let record = try self.checkedRecord(for: actor.person.id, orIf: actor.isAdmin)
        guard actor.isAdmin || record.creator == actor.person.id else {
            throw .notAllowed("the creator of a conversation or an admin")
        }
        guard record.endedAt == nil else {
            guard origin.isRetry else { throw .conversationEnded }
            self.answerAlreadyDone(origin, into: &effects) {
                if case .ended = $0 { true } else { false }
            }
            return
        }
        guard !self.areWritesUnavailable else { throw .unavailable }
        self.record?.endedAt = now.wall
        self.endedBy = actor.person.id
        self.write(
            .end(at: now.wall), then: .ended(by: actor.person.id, at: now.wall), from: origin,
            into: &effects)
    }

    /// Answers a request that was asked before and finds itself done, or on its way to be.
    private mutating func answerAlreadyDone(
        _ origin: RequestOrigin, into effects: inout [ConversationEffect],
        where isSame: (PendingChange.Kind) -> Bool
    ) {
        if let place = self.pendingChanges.lastIndex(where: { isSame($0.kind) }) {
            self.pendingChanges[place].addRequester(origin)
        } else {
            effects.append(.answer(.done, to: origin))
        }
    }

    func describe(
        for actor: Principal, _ guests: ReadAccess, from origin: RequestOrigin,
        into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        let isAdmitted =
            guests == .anyone || guests == .anyoneIfOpen && self.record?.joinPolicy == .open
        _ = try self.checkedRecord(for: actor.person.id, orIf: isAdmitted)
        self.answerDetails(to: origin, into: &effects)
    }

    func answerDetails(to origin: RequestOrigin, into effects: inout [ConversationEffect]) {
        guard var record = self.record else {
            return effects.append(.answer(.failed(.noSuchConversation), to: origin))
        }
        record.updatedAt = self.updatedAt
        let online = Set(
            self.members.active.lazy.filter { self.members[$0].isPresent }.map {
                self.members[$0].member.user
            })
        let description = ConversationDetails(
            record: record, head: self.storedHead, members: self.members.members, online: online)
        effects.append(.answer(.described(description), to: origin))
    }

    // MARK: Loops that listen

    /// A loop that heard the conversation before says who is there: after a gap, or after the last owner's death.
    mutating func attach(
        _ attachment: Attachment, from origin: RequestOrigin, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        guard self.lifecycle != .missing || self.isInbox else {
            effects.append(.answer(.failed(.noSuchConversation), to: origin))
            return
        }
        guard !self.isBehind(attachment) else {
            // Asked again in a moment, when the store has said what there is.
            effects.append(.answer(.failed(.unavailable), to: origin))
            effects.append(.invalidate)
            return
        }
        self.subscribers.insert(
            origin.loop, feedSlot: origin.feedSlot, attachedAtRevision: self.revision)
        // An owner that has just begun knows nobody, and takes the loop's word. Most others have heard it too, and will
        // not show it again; those who have come in since the owner began have not.
        var learned: [UInt32] = []
        let reunionEnds = self.presence.startedAt + ConversationRules.presenceGrace
        for person in attachment.knownOnline where now.monotonic < reunionEnds && !self.isInbox {
            self.presence.graceEnds = reunionEnds
            guard let number = self.members.memberNumber(of: person.id),
                !self.members[number].hasBeenAnnounced
            else { continue }
            self.setAnnounced(number, true)
            self.scheduleAnnouncement(number, at: now, into: &effects)
            learned.append(number)
        }
        if !learned.isEmpty {
            if self.presence.isReportedAsCrowd {
                self.presence.isCountDue = true
                self.announcePresence(at: now, into: &effects)
            } else {
                effects.append(
                    .event(
                        .presence(self.presenceChanges(of: learned, at: now)), revision: 0,
                        origin: nil))
            }
        }
        var present = Set<UInt32>()
        for person in attachment.present + attachment.joining where !self.isInbox {
            guard let number = self.members.memberNumber(of: person.id) else { continue }
            present.insert(number)
            self.markPresent(number, on: origin.loop, at: now, into: &effects)
        }
        // Who listens and is no member has missed being told so.
        for person in attachment.present
        where !self.isInbox && self.members.memberNumber(of: person.id) == nil {
            let gone = self.members.number(of: person.id).map { self.members[$0].member }
            let member =
                gone
                ?? Member(user: person.id, name: person.name, role: .member, joinedAt: now.wall)
            effects.append(.notify(.left(member, at: now.wall), LoopSet(origin.loop)))
        }
        for number in self.members.active
        where self.members[number].loops.contains(origin.loop) && !present.contains(number) {
            self.markAbsent(number, from: origin.loop, at: now, into: &effects)
        }
        effects.append(.answer(.joined(self.joinResult(including: { _ in true })), to: origin))
        // A new owner has to recall the newest messages before it can say whose they are: the reports wait for that.
        for report in attachment.delivered {
            self.handle(
                .delivered(report.user, report.range),
                from: RequestOrigin(loop: origin.loop, request: 0), at: now, into: &effects)
        }
    }

    /// A loop has no listeners any more, or is gone with all it had.
    public mutating func detach(
        _ loop: LoopID, at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        self.subscribers.remove(loop)
        for number in self.members.active where self.members[number].loops.contains(loop) {
            self.markAbsent(number, from: loop, at: now, into: &effects)
        }
    }

    /// Nodes are gone: their loops listen no more, and what they asked and had to wait for is for nobody.
    ///
    /// - Parameter incarnations: those of the nodes.
    public mutating func removeNodes(
        _ incarnations: Set<UInt64>, at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        self.waitingInputs.removeAll {
            !$0.input.isOffer && incarnations.contains($0.origin.loop.incarnation)
        }
        for listener in self.subscribers.all where incarnations.contains(listener.loop.incarnation)
        {
            self.detach(listener.loop, at: now, into: &effects)
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

extension PendingChange {
    func isJoin(of number: UInt32) -> Bool {
        if case .member(number, isJoin: true) = self.kind { true } else { false }
    }
}
