import Bytes
import ChatModel

extension Conversation {
    /// - Parameters:
    ///   - isAdded: whether the creator or an admin adds the user, also one that was removed
    ///     before.
    ///   - naming: where the user's name is from.
    mutating func join(
        _ request: JoinRequest, subscribing isSubscribing: Bool, isAdded: Bool = false,
        as naming: Naming = .own,
        from origin: RequestOrigin, at now: ClockReading, into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        guard !self.isInbox else {
            return self.subscribeToInbox(
                as: request.principal.person, from: origin, into: &effects)
        }
        let person = request.principal.person
        let existing = self.members.memberNumber(of: person.id)
        if !isAdded, existing == nil { try self.checkAdmission(request, isSubscribing) }
        try self.checkJoin(person.id, isMember: existing != nil)
        if existing == nil {
            try self.checkRemovedUsers(adding: person.id)
            self.removeFormerGuests(person.id, at: now, into: &effects)
            try self.makePlace(at: now, into: &effects)
        }
        if self.lifecycle == .missing {
            // The first user who enters must not own what a token of another user lists too.
            let creator = request.principal.isAdmin ? person.id : nil
            self.writeCreation(
                ConversationRecord(
                    request.template.closed, creator: creator, createdAt: now.wall),
                into: &effects)
        }
        var member = existing.map { self.members[$0].member } ?? self.newMember(request, at: now)
        // A new name needs a write, so every member keeps its name while writes are unavailable.
        let isRenamed =
            (member.name != person.name || member.agent != person.agent
                || naming == .own && member.isNameGiven)
            && !self.areWritesUnavailable
        if existing == nil || isRenamed {
            (member.name, member.agent) = (person.name, person.agent)
            member.isNameGiven = naming == .given && person.name != person.id.name
        }
        let number = self.members.insert(member, isMember: true)
        self.members.reuseUserID(person.id, for: number)
        if isSubscribing {
            self.subscribers.insert(
                origin.loop, feedSlot: origin.feedSlot, attachedAtRevision: self.revision)
            self.markPresent(number, on: origin.loop, at: now, into: &effects)
        }
        if existing == nil || isRenamed {
            self.write(
                .member(member), then: .member(number, isJoin: existing == nil), from: origin,
                into: &effects)
        } else if let index = self.pendingChanges.lastIndex(where: { $0.isJoin(of: number) }) {
            self.pendingChanges[index].addRequester(origin)
        } else {
            effects.append(.answer(self.joinAnswer(for: number, isNew: false), to: origin))
        }
    }

    /// Throws unless the token or the link admits a user that is no member.
    ///
    /// This is the first check, so that a closed conversation is answered as a missing one.
    private func checkAdmission(_ request: JoinRequest, _ isSubscribing: Bool) throws(ChatError) {
        let user = request.principal.person.id
        // The token of an anonymous user is part of the link.
        if request.isListedInToken, !user.isAnonymous { return }
        guard self.record?.joinPolicy == .open else {
            throw isSubscribing ? .accessDenied : .noSuchConversation
        }
        guard !self.wasRemoved(user) else { throw .wasRemoved }
    }

    /// Throws unless an admitted user may join.
    private func checkJoin(_ user: UserID, isMember: Bool) throws(ChatError) {
        // Even if the anonymous user is a member: other users cannot tell the two apart.
        if user.isAnonymous,
            self.members.memberNumber(of: UserID(tokenSubject: user.name)) != nil
        {
            throw .idTaken
        }
        guard isMember || !self.areWritesUnavailable else { throw self.unavailability }
    }

    /// The member that a join adds. A returning member keeps its cursors. A creator that returns is
    /// an ordinary member.
    private func newMember(_ request: JoinRequest, at now: ClockReading) -> Member {
        let person = request.principal.person
        let role: Member.Role = self.isCreator(person.id) ? .creator : .member
        var member = Member(
            user: person.id, name: person.name, agent: person.agent, role: role,
            joinedAt: now.wall)
        if let former = self.members.number(of: person.id).map({ self.members[$0].member }) {
            member.readCursor = former.readCursor
            member.deliveredCursor = former.deliveredCursor
        }
        if request.marksHistoryRead {
            member.readCursor = max(member.readCursor, self.storedHead)
        }
        return member
    }

    /// Subscribes without a write: there are very many subscribers, and most inboxes stay empty.
    private mutating func subscribeToInbox(
        as person: Person, from origin: RequestOrigin, into effects: inout [ConversationEffect]
    ) {
        self.subscribers.insert(
            origin.loop, feedSlot: origin.feedSlot, attachedAtRevision: self.revision)
        var result = self.joinResult(including: { _ in false })
        result.member = self.memberWithHighestReadCursor(for: person)
        effects.append(.answer(.joined(result), to: origin))
    }

    /// The member with the highest read cursor, under this user's id. Several users may share an
    /// inbox, and a message that one of them has read has arrived.
    private func memberWithHighestReadCursor(for person: Person) -> Member? {
        let members = (0..<UInt32(self.members.count)).lazy.filter(self.members.isMember).map {
            self.members[$0].member
        }
        guard var member = members.max(by: { $0.readCursor < $1.readCursor }) else { return nil }
        member.user = person.id
        return member
    }

    /// The answer to a member that has joined.
    func joinAnswer(for number: UInt32, isNew: Bool) -> ChatAnswer {
        var result = self.joinResult(including: { $0 != number })
        result.member = self.members[number].member
        result.isNewMember = isNew
        return .joined(result)
    }

    /// - Parameter isIncluded: whether the result lists this present member.
    func joinResult(including isIncluded: (UInt32) -> Bool) -> JoinResult {
        var present: [PresenceChange] = []
        if !self.presence.isReportedAsCrowd {
            for other in self.members.active
            where self.members[other].isAnnouncedOnline && isIncluded(other) {
                present.append(
                    PresenceChange(
                        person: self.members[other].person, isOnline: true,
                        at: self.presence.lastAnnouncedAt))
            }
        }
        // An end in flight is reported when it is stored.
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

    // MARK: Creation

    /// Writes the first change of a conversation.
    mutating func writeCreation(
        _ record: ConversationRecord, into effects: inout [ConversationEffect]
    ) {
        self.record = record
        self.write(.create(record), then: .created, into: &effects)
    }

    /// Creates the conversation with its first members. The answer follows when the last of them is
    /// stored.
    mutating func create(
        _ new: NewConversation, from origin: RequestOrigin, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        guard !self.isInbox else { throw .accessDenied }
        if let record = self.record {
            guard origin.isRetry, record.origin == new.record.origin,
                record.creator == new.creatorID,
                record.title == new.record.title,
                record.dialectData == new.record.dialectData
            else { throw .conversationExists }
            if let index = self.pendingChanges.lastIndex(where: { !$0.creationRequesters.isEmpty })
            {
                if !self.pendingChanges[index].creationRequesters.contains(where: {
                    $0.isSame(as: origin)
                }) {
                    self.pendingChanges[index].creationRequesters.append(origin)
                }
            } else {
                self.answerDetails(to: origin, into: &effects)
            }
            return
        }
        guard new.members.count <= self.rules.limits.members else {
            throw .tooManyMembers(limit: self.rules.limits.members)
        }
        guard !self.areWritesUnavailable else { throw self.unavailability }
        let creator = new.creatorID
        var record = new.record
        record.creator = creator
        (record.createdAt, record.updatedAt) = (now.wall, now.wall)
        self.writeCreation(record, into: &effects)
        for person in new.members where self.members.memberNumber(of: person.id) == nil {
            var member = Member(
                user: person.id, name: person.name, agent: person.agent,
                role: person.id == creator ? .creator : .member,
                joinedAt: now.wall)
            member.isNameGiven =
                person.id != creator && !new.creator.isAdmin && person.name != person.id.name
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
            guard origin.isRetry else { throw self.refusalOfNonMember }
            self.answerAlreadyDone(origin, into: &effects) { $0.isDeparture(of: user) }
            return
        }
        guard !self.areWritesUnavailable else { throw self.unavailability }
        self.endMembership(number, rememberedAs: nil, from: origin, at: now, into: &effects)
    }

    /// - Parameters:
    ///   - role: the role by which the conversation remembers the former member; nil if it need
    ///     not. It always remembers its creator, who would otherwise have its rights again.
    ///   - origin: the request to answer; nil for none.
    mutating func endMembership(
        _ number: UInt32, rememberedAs role: Member.Role?, from origin: RequestOrigin?,
        at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        let member = self.members[number].member
        let role = role ?? (self.record?.creator == member.user ? .departed : nil)
        self.members.remove(number, rememberedAs: role)
        var change = Write.Change.remove(member.user)
        if role != nil {
            var former = self.members[number].member
            (former.name, former.agent) = ("", nil)
            change = .member(former)
        }
        self.write(change, then: .left(member, at: now.wall), from: origin, into: &effects)
    }

    /// Whether the creator or an admin has removed the user, who was not added again. Guests are
    /// removed by their common id.
    func wasRemoved(_ user: UserID) -> Bool {
        self.members.numbers(lookingLike: user).contains {
            self.members[$0].member.role == .removed
        }
    }

    /// Throws if the conversation has removed as many users as it may have members, and this is
    /// none of them.
    ///
    /// A removal is never forgotten. Without additions there are no further removals.
    private func checkRemovedUsers(adding user: UserID) throws(ChatError) {
        let limit = self.rules.limits.members
        guard self.members.removedCount >= limit else { return }
        guard self.members.number(of: user).map(self.members.isRemoved) ?? false else {
            throw .tooManyMembers(limit: limit)
        }
    }

    /// Whether the user has created the conversation, and neither left nor was removed. In some
    /// protocols the creator need not be a member.
    func isCreator(_ user: UserID) -> Bool {
        guard self.record?.creator == user else { return false }
        guard let number = self.members.number(of: user) else { return true }
        return self.members[number].member.role == .creator
    }

    mutating func end(
        by principal: Principal, from origin: RequestOrigin, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        var principal = principal
        // A request ends an open conversation by the name of its creator only if no other machine
        // can have sent it.
        if principal.person.id.isClaimed, self.record?.joinPolicy == .open,
            let creator = self.record?.creator,
            creator.looksLike(principal.person.id)
        {
            principal = Principal(
                person: Person(id: creator, name: principal.person.name), isAdmin: false)
        }
        let record = try self.recordManaged(by: principal)
        guard record.endedAt == nil else {
            guard origin.isRetry else { throw .conversationEnded }
            self.answerAlreadyDone(origin, into: &effects) { $0.isEnd }
            return
        }
        guard !self.areWritesUnavailable else { throw self.unavailability }
        self.record?.endedAt = now.wall
        self.endedBy = principal.person.id
        self.write(
            .end(at: now.wall), then: .ended(by: principal.person.id, at: now.wall), from: origin,
            into: &effects)
    }

    /// Answers a retry of a request that is already done or in flight.
    private mutating func answerAlreadyDone(
        _ origin: RequestOrigin, into effects: inout [ConversationEffect],
        where isSame: (PendingChange) -> Bool
    ) {
        if let index = self.pendingChanges.lastIndex(where: isSame) {
            self.pendingChanges[index].addRequester(origin)
        } else {
            effects.append(.answer(.done, to: origin))
        }
    }
}

extension PendingChange {
    func isJoin(of number: UInt32) -> Bool {
        if case .member(number, isJoin: true) = self.kind { true } else { false }
    }
}

extension NewConversation {
    /// The user that manages the conversation. An operator, who is no user, has an empty id.
    fileprivate var creatorID: UserID? {
        let id = self.creator.person.id
        return id.storageKey.string.isEmpty ? nil : id
    }
}
