import Bytes
public import ChatModel

extension Conversation {
    mutating func enter(
        _ entrance: Entrance, listening: Bool, from origin: Origin, at now: Moment, into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        guard !self.isInbox else { return self.listen(to: entrance.actor.person, from: origin, into: &effects) }
        let person = entrance.actor.person
        // Also of one who was a member before: others take the two for one.
        if person.id.isAnonymous, self.members.member(UserID(token: person.id.name)) != nil { throw .idTaken }
        let known = self.members.member(person.id)
        let isMade = self.standing == .missing
        if isMade {
            guard entrance.isListed else { throw listening ? .accessDenied : .noSuchConversation }
        } else {
            guard known != nil || entrance.isListed || self.record?.access == .open else { throw .accessDenied }
        }
        guard known != nil || self.members.memberCount < self.rules.limits.membersPerConversation else {
            throw .tooManyMembers(limit: self.rules.limits.membersPerConversation)
        }
        guard known != nil || !self.isStoreAway else { throw .unavailable }
        if isMade {
            self.make(
                ConversationRecord(access: entrance.kind.access, kind: entrance.kind, creator: person.id, createdAt: now.wall),
                into: &effects)
        }
        var member =
            known.map { self.members[$0].member }
            ?? Member(user: person.id, name: person.name, agent: person.agent, role: isMade ? .creator : .member, joinedAt: now.wall)
        if known == nil, let before = self.members.number(of: person.id).map({ self.members[$0].member }) {
            // Who comes back has read what it had read.
            member.readCursor = before.readCursor
            member.deliveredCursor = before.deliveredCursor
        }
        if known == nil, entrance.skipsHistory { member.readCursor = max(member.readCursor, self.storedHead) }
        // While the store is away everybody keeps the name that it has.
        let isRenamed = (member.name != person.name || member.agent != person.agent) && !self.isStoreAway
        if known == nil || isRenamed { (member.name, member.agent) = (person.name, person.agent) }
        let number = self.members.insert(member, isMember: true)
        self.members.adopt(person.id, as: number)
        if listening {
            self.listeners.insert(origin.loop, place: origin.place, since: self.revision)
            self.appear(number, on: origin.loop, at: now, into: &effects)
        }
        if known == nil || isRenamed {
            self.write(.member(member), then: .member(number, isArrival: known == nil), from: origin, into: &effects)
        } else if let place = self.pending.lastIndex(where: { $0.isArrival(of: number) }) {
            self.pending[place].join(origin)
        } else {
            effects.append(.answer(self.entered(number, isNew: false), to: origin))
        }
    }

    /// Nothing is written for somebody who only listens: very many do, and most inboxes stay empty.
    private mutating func listen(to person: Person, from origin: Origin, into effects: inout [ConversationEffect]) {
        self.listeners.insert(origin.loop, place: origin.place, since: self.revision)
        var entered = self.whereabouts(telling: { _ in false })
        entered.member = self.whoeverGotFurthest(for: person)
        effects.append(.answer(.entered(entered), to: origin))
    }

    /// An inbox may be several users': what has come to one of them has come to whom it was addressed to.
    private func whoeverGotFurthest(for person: Person) -> Member? {
        let settled = (0..<UInt32(self.members.count)).lazy.filter(self.members.isMember).map { self.members[$0].member }
        guard var member = settled.max(by: { $0.readCursor < $1.readCursor }) else { return nil }
        member.user = person.id
        return member
    }

    /// What a member who has come in is told.
    func entered(_ number: UInt32, isNew: Bool) -> ChatAnswer {
        var entered = self.whereabouts(telling: { $0 != number })
        entered.member = self.members[number].member
        entered.isNewMember = isNew
        return .entered(entered)
    }

    /// - Parameter isTold: of whom the receiver is to hear.
    private func whereabouts(telling isTold: (UInt32) -> Bool) -> Entered {
        var present: [PresenceChange] = []
        if !self.presence.isToldAsCrowd {
            for other in self.members.active where self.members[other].isAnnounced && isTold(other) {
                present.append(PresenceChange(person: self.members[other].person, isOnline: true, at: self.presence.since))
            }
        }
        // An end that is on its way is told when it has been stored.
        let isEnding = self.pending.contains { if case .ended = $0.kind { true } else { false } }
        let ended =
            isEnding ? nil : self.record?.endedAt.map { Ending(by: self.endedBy ?? self.record?.creator ?? UserID(key: ""), at: $0) }
        return Entered(
            head: self.storedHead, oldest: self.oldest, revision: self.storedRevision, ended: ended, present: present,
            presentCount: self.presence.announcedCount, isCrowd: self.presence.isToldAsCrowd)
    }

    // MARK: Making

    /// The first change of all.
    mutating func make(_ record: ConversationRecord, into effects: inout [ConversationEffect]) {
        self.record = record
        self.write(.create(record), then: .created, into: &effects)
    }

    /// The conversation with all its first members; answered when the last of them is stored.
    mutating func create(
        _ founding: Founding, from origin: Origin, at now: Moment, into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        guard !self.isInbox else { throw .accessDenied }
        if let record = self.record {
            guard origin.isRepeat, record.kind == founding.kind, record.creator == founding.creator.person.id,
                record.title == founding.title, record.details == founding.details
            else { throw .conversationExists }
            if let place = self.pending.lastIndex(where: { !$0.founders.isEmpty }) {
                if !self.pending[place].founders.contains(where: { $0.isSame(as: origin) }) { self.pending[place].founders.append(origin) }
            } else {
                self.answerDescription(to: origin, into: &effects)
            }
            return
        }
        guard founding.members.count <= self.rules.limits.membersPerConversation else {
            throw .tooManyMembers(limit: self.rules.limits.membersPerConversation)
        }
        guard !self.isStoreAway else { throw .unavailable }
        let creator = founding.creator.person.id
        self.make(
            ConversationRecord(
                access: founding.kind.access, kind: founding.kind, title: founding.title, details: founding.details, creator: creator,
                createdAt: now.wall), into: &effects)
        for person in founding.members where self.members.member(person.id) == nil {
            let member = Member(
                user: person.id, name: person.name, agent: person.agent, role: person.id == creator ? .creator : .member,
                joinedAt: now.wall)
            let number = self.members.insert(member, isMember: true)
            self.write(.member(member), then: .member(number, isArrival: true), into: &effects)
        }
        self.pending[self.pending.count - 1].founders = [origin]
    }

    mutating func part(_ user: UserID, from origin: Origin, at now: Moment, into effects: inout [ConversationEffect]) throws(ChatError) {
        guard self.standing != .missing else { throw .noSuchConversation }
        guard let number = self.members.member(user) else {
            guard origin.isRepeat else { throw .notAMember }
            self.answerDone(origin, into: &effects) { if case .left(let member, _) = $0 { member.user == user } else { false } }
            return
        }
        guard !self.isStoreAway else { throw .unavailable }
        let member = self.members[number].member
        self.members.remove(number)
        self.write(.remove(user), then: .left(member, at: now.wall), from: origin, into: &effects)
    }

    mutating func end(by actor: Actor, from origin: Origin, at now: Moment, into effects: inout [ConversationEffect]) throws(ChatError) {
        let record = try self.checkedRecord(for: actor.person.id, orIf: actor.isAdmin)
        guard actor.isAdmin || record.creator == actor.person.id else { throw .notAllowed("the creator of a conversation or an admin") }
        guard record.endedAt == nil else {
            guard origin.isRepeat else { throw .conversationEnded }
            self.answerDone(origin, into: &effects) { if case .ended = $0 { true } else { false } }
            return
        }
        guard !self.isStoreAway else { throw .unavailable }
        self.record?.endedAt = now.wall
        self.endedBy = actor.person.id
        self.write(.end(at: now.wall), then: .ended(by: actor.person.id, at: now.wall), from: origin, into: &effects)
    }

    /// Answers a request that was asked before and finds itself done, or on its way to be.
    private mutating func answerDone(_ origin: Origin, into effects: inout [ConversationEffect], where isSame: (PendingChange.Kind) -> Bool)
    {
        if let place = self.pending.lastIndex(where: { isSame($0.kind) }) {
            self.pending[place].join(origin)
        } else {
            effects.append(.answer(.done, to: origin))
        }
    }

    func describe(
        for actor: Actor, _ guests: Guests, from origin: Origin, into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        let isAdmitted = guests == .all || guests == .ofOpen && self.record?.access == .open
        _ = try self.checkedRecord(for: actor.person.id, orIf: isAdmitted)
        self.answerDescription(to: origin, into: &effects)
    }

    func answerDescription(to origin: Origin, into effects: inout [ConversationEffect]) {
        guard var record = self.record else { return effects.append(.answer(.failed(.noSuchConversation), to: origin)) }
        record.updatedAt = self.updatedAt
        let online = Set(self.members.active.lazy.filter { self.members[$0].isPresent }.map { self.members[$0].member.user })
        let description = Description(record: record, head: self.storedHead, members: self.members.members, online: online)
        effects.append(.answer(.described(description), to: origin))
    }

    // MARK: Loops that listen

    /// A loop that heard the conversation before says who is there: after a gap, or after the last owner's death.
    mutating func attach(_ attachment: Attachment, from origin: Origin, at now: Moment, into effects: inout [ConversationEffect]) {
        guard self.standing != .missing || self.isInbox else {
            effects.append(.answer(.failed(.noSuchConversation), to: origin))
            return
        }
        guard !self.isBehind(attachment) else {
            // Asked again in a moment, when the store has said what there is.
            effects.append(.answer(.failed(.unavailable), to: origin))
            effects.append(.mistrust)
            return
        }
        self.listeners.insert(origin.loop, place: origin.place, since: self.revision)
        // An owner that has just begun knows nobody, and takes the loop's word. Most others have heard it too, and will
        // not show it again; those who have come in since the owner began have not.
        var learned: [UInt32] = []
        let reunionEnds = self.presence.bornAt + ConversationRules.reunion
        for person in attachment.heard where now.monotonic < reunionEnds && !self.isInbox {
            self.presence.reunionEnds = reunionEnds
            guard let number = self.members.member(person.id), !self.members[number].isTold else { continue }
            self.setAnnounced(number, true)
            self.considerAnnouncing(number, at: now, into: &effects)
            learned.append(number)
        }
        if !learned.isEmpty {
            if self.presence.isToldAsCrowd {
                self.presence.isCountDue = true
                self.announcePresence(at: now, into: &effects)
            } else {
                effects.append(.event(.presence(self.changes(learned, at: now)), revision: 0, asked: nil))
            }
        }
        var present = Set<UInt32>()
        for person in attachment.present + attachment.entering where !self.isInbox {
            guard let number = self.members.member(person.id) else { continue }
            present.insert(number)
            self.appear(number, on: origin.loop, at: now, into: &effects)
        }
        // Who listens and is no member has missed being told so.
        for person in attachment.present where !self.isInbox && self.members.member(person.id) == nil {
            let gone = self.members.number(of: person.id).map { self.members[$0].member }
            let member = gone ?? Member(user: person.id, name: person.name, role: .member, joinedAt: now.wall)
            effects.append(.tell(.left(member, at: now.wall), LoopSet(origin.loop)))
        }
        for number in self.members.active where self.members[number].loops.contains(origin.loop) && !present.contains(number) {
            self.disappear(number, from: origin.loop, at: now, into: &effects)
        }
        effects.append(.answer(.entered(self.whereabouts(telling: { _ in true })), to: origin))
        // A new owner has to recall the newest messages before it can say whose they are: the reports wait for that.
        for report in attachment.delivered {
            self.handle(.delivered(report.user, report.range), from: Origin(loop: origin.loop, request: 0), at: now, into: &effects)
        }
    }

    /// A loop has no listeners any more, or is gone with all it had.
    public mutating func detach(_ loop: OwnerID, at now: Moment, into effects: inout [ConversationEffect]) {
        self.listeners.remove(loop)
        for number in self.members.active where self.members[number].loops.contains(loop) {
            self.disappear(number, from: loop, at: now, into: &effects)
        }
    }

    /// Nodes are gone: their loops listen no more, and what they asked and had to wait for is for nobody.
    ///
    /// - Parameter incarnations: those of the nodes.
    public mutating func forget(_ incarnations: Set<UInt64>, at now: Moment, into effects: inout [ConversationEffect]) {
        self.waiting.removeAll { !$0.input.isOffer && incarnations.contains($0.origin.loop.incarnation) }
        for listener in self.listeners.all where incarnations.contains(listener.loop.incarnation) {
            self.detach(listener.loop, at: now, into: &effects)
        }
    }

    mutating func leave(_ user: UserID, from loop: OwnerID, at now: Moment, into effects: inout [ConversationEffect]) {
        guard let number = self.members.number(of: user), self.members[number].loops.contains(loop) else { return }
        self.disappear(number, from: loop, at: now, into: &effects)
    }
}

extension PendingChange {
    func isArrival(of number: UInt32) -> Bool {
        if case .member(number, isArrival: true) = self.kind { true } else { false }
    }
}
