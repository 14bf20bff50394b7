import Bytes
public import ChatModel

extension Conversation {
    mutating func enter(
        _ entrance: Entrance, listening: Bool, from origin: Origin, at now: Moment, into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        let person = entrance.actor.person
        let isMade = self.record == nil
        if isMade {
            guard entrance.isListed else { throw listening ? .accessDenied : .noSuchConversation }
            let record = ConversationRecord(access: entrance.access, creator: person.id, createdAt: now.wall)
            self.record = record
            self.write(.create(record), then: .created, into: &effects)
        }
        guard let record = self.record else { throw .noSuchConversation }
        let known = self.members.member(person.id)
        guard known != nil || entrance.isListed || record.access == .open else { throw .accessDenied }
        guard known != nil || self.members.memberCount < self.limits.membersPerConversation else {
            throw .tooManyMembers(limit: self.limits.membersPerConversation)
        }
        var member =
            known.map { self.members[$0].member }
            ?? Member(user: person.id, name: person.name, role: isMade ? .creator : .member, joinedAt: now.wall)
        let isRenamed = member.name != person.name
        member.name = person.name
        let number = self.members.insert(member, isMember: true)
        self.members[number].agent = person.agent
        if listening {
            self.hear(origin.loop)
            self.appear(number, on: origin.loop, at: now, into: &effects)
        }
        if known == nil || isRenamed {
            self.write(.member(member), then: .member(number, isArrival: known == nil), from: origin, into: &effects)
        } else if !self.pending.arrival(of: number, asker: origin) {
            effects.append(.answer(self.entered(number), to: origin))
        }
    }

    /// What a member who has come in is told.
    func entered(_ number: UInt32) -> ChatAnswer {
        let isCrowd = self.presence.isCrowd
        let others = isCrowd ? [] : self.members.entries.filter { $0.isAnnounced && $0.member.user != self.members[number].member.user }
        return .entered(
            Entered(
                head: self.storedHead, oldest: self.oldest, revision: self.storedRevision, isEnded: self.record?.endedAt != nil,
                present: others.map { PresenceChange(person: $0.person, isOnline: true, at: self.presence.since) },
                presentCount: self.presence.presentCount, isCrowd: isCrowd))
    }

    mutating func part(_ user: UserID, from origin: Origin, at now: Moment, into effects: inout [ConversationEffect]) throws(ChatError) {
        _ = try self.checkedRecord(for: user)
        guard let number = self.members.member(user) else { throw .notAMember }
        let member = self.members[number].member
        self.members.remove(number)
        self.write(.remove(user), then: .left(member, at: now.wall), from: origin, into: &effects)
    }

    mutating func end(by actor: Actor, from origin: Origin, at now: Moment, into effects: inout [ConversationEffect]) throws(ChatError) {
        let record = try self.checkedRecord(for: actor.person.id, isAdmin: actor.isAdmin)
        guard record.endedAt == nil else { throw .conversationEnded }
        guard actor.isAdmin || record.creator == actor.person.id else { throw .notAllowed("the creator of a conversation or an admin") }
        self.record?.endedAt = now.wall
        self.write(.end(at: now.wall), then: .ended(by: actor.person.id, at: now.wall), from: origin, into: &effects)
    }

    func describe(for actor: Actor, from origin: Origin, into effects: inout [ConversationEffect]) throws(ChatError) {
        let record = try self.checkedRecord(for: actor.person.id, isAdmin: actor.isAdmin)
        let members = self.members.entries.filter(\.isMember)
        let online = Set(members.filter(\.isPresent).map(\.member.user))
        effects.append(
            .answer(.described(Description(record: record, head: self.storedHead, members: members.map(\.member), online: online)), to: origin))
    }

    mutating func hear(_ loop: OwnerID) {
        if !self.interested.contains(loop) { self.interested.append(loop) }
    }

    /// A loop that heard the conversation before says who is there: after a gap, or after the last owner's death.
    mutating func attach(_ attachment: Attachment, from origin: Origin, at now: Moment, into effects: inout [ConversationEffect]) {
        guard self.record != nil else {
            effects.append(.answer(.failed(.noSuchConversation), to: origin))
            return
        }
        self.hear(origin.loop)
        // Whom the loop heard to be online the others have heard too: nothing to announce unless they are gone.
        for person in attachment.heard {
            guard let number = self.members.member(person.id) else { continue }
            self.members[number].isAnnounced = true
            self.members[number].agent = person.agent
            self.considerAnnouncing(number, at: now, into: &effects)
        }
        var present = Set<UserID>()
        for person in attachment.present {
            guard let number = self.members.member(person.id) else { continue }
            present.insert(person.id)
            self.members[number].agent = person.agent
            self.appear(number, on: origin.loop, at: now, into: &effects)
        }
        for number in self.members.entries.indices.map(UInt32.init) {
            let entry = self.members[number]
            if entry.loops.contains(origin.loop), !present.contains(entry.member.user) {
                self.disappear(number, from: origin.loop, at: now, into: &effects)
            }
        }
        effects.append(
            .answer(
                .entered(
                    Entered(
                        head: self.storedHead, oldest: self.oldest, revision: self.storedRevision, isEnded: self.record?.endedAt != nil,
                        present: self.presence.isCrowd
                            ? [] : self.members.entries.filter(\.isAnnounced).map { PresenceChange(person: $0.person, isOnline: true, at: now.wall) },
                        presentCount: self.presence.presentCount, isCrowd: self.presence.isCrowd)),
                to: origin))
    }

    /// A loop has no listeners any more, or is gone with all it had.
    public mutating func detach(_ loop: OwnerID, at now: Moment, into effects: inout [ConversationEffect]) {
        self.interested.removeAll { $0 == loop }
        for number in self.members.entries.indices.map(UInt32.init) where self.members[number].loops.contains(loop) {
            self.disappear(number, from: loop, at: now, into: &effects)
        }
    }

    mutating func leave(_ user: UserID, from loop: OwnerID, at now: Moment, into effects: inout [ConversationEffect]) {
        guard let number = self.members.number(of: user) else { return }
        self.disappear(number, from: loop, at: now, into: &effects)
    }
}
