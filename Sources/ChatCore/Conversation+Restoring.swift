import Bytes
public import ChatModel

/// What an owner does when the store has forgotten something that was answered: it writes it again, under the same numbers.
///
/// It compares what it holds itself, and what former owners offer that hold something of their time. Where the store has another history
/// under the same numbers, the store decides: what it lacks is appended again under the next ones. What nobody holds any more is asked for on
/// all loops before it is given up: then its numbers, which were seen, are taken by empty, deleted messages.
extension Conversation {
    /// A change has left for the store, and other nodes may hear of it as soon as it is stored. Of a store that does not forget nothing is
    /// held.
    public mutating func hold(_ change: Write.Change, _ revision: Revision, at now: Moment) {
        self.hold(change, revision, isAcknowledged: false, at: now)
    }

    private mutating func hold(_ change: Write.Change, _ revision: Revision, isAcknowledged: Bool, at now: Moment) {
        guard self.rules.hold > 0, revision > self.held.last?.revision ?? 0 else { return }
        // Not each time: the one in the middle is in nobody's cache.
        let half = self.held.count / 2
        if half >= 16, self.held.count % 16 == 0, self.held[half].storedAt < now.monotonic - self.rules.hold { self.held.removeFirst(half) }
        self.held.append(HeldChange(revision: revision, change: change, storedAt: now.monotonic, isAcknowledged: isAcknowledged))
    }

    /// The store has refused a change for certain; those behind it cannot be stored either. Acknowledged ones, which are being written
    /// again, stay held.
    public mutating func holdNoLonger(_ change: Write.Change, _ revision: Revision) {
        guard let place = self.placeHeld(change, revision), !self.held[place].isAcknowledged else { return }
        // Kept, they would be restored, with the number that is missing between as one that is lost.
        self.held.removeSubrange(place...)
    }

    private func placeHeld(_ change: Write.Change, _ revision: Revision) -> Int? {
        guard let place = self.held.lastIndex(where: { $0.revision <= revision }),
            self.held[place].isSame(as: HeldChange(revision: revision, change: change, storedAt: 0))
        else { return nil }
        return place
    }

    /// A change is stored: it is acknowledged. Later ones are on their way, or were held when the number came to another.
    public mutating func holdStored(_ change: Write.Change, _ revision: Revision, at now: Moment) {
        guard self.rules.hold > 0, self.restoringThrough == 0 else { return }
        guard let last = self.held.last, last.revision >= revision else {
            return self.hold(change, revision, isAcknowledged: true, at: now)
        }
        let stored = HeldChange(revision: revision, change: change, storedAt: now.monotonic)
        // From the end: what is on its way is there.
        let place = (self.held.lastIndex { $0.revision < revision } ?? -1) + 1
        if self.held[place].revision > revision {
            self.held.insert(stored, at: place)
        } else if self.held[place].isSame(as: stored) {
            self.held[place].isAcknowledged = true
        } else {
            self.held.removeSubrange(place...)
            self.held.append(stored)
        }
    }

    /// The store says that it has a change of before it was loaded again. Where what was loaded lacks it, the store has lost it since.
    public mutating func storedLate(
        _ change: Write.Change, revision: Revision, at now: Moment, into effects: inout [ConversationEffect]
    ) {
        self.holdStored(change, revision, at: now)
        switch self.knowledge {
        case .withoutRecents, .recalling, .whole: if revision > self.storedRevision { effects.append(.mistrust) }
        case .nothing, .loading: break
        }
    }

    /// The store, as it was just loaded, does not have these writes: they were never acknowledged, and are never written again.
    mutating func discardUnacknowledged() {
        self.held.removeAll { !$0.isAcknowledged && $0.revision > self.storedRevision }
    }

    /// What is held of the last moments: nothing where the last of it is too old to be forgotten by any store.
    private func recentlyHeld(at now: Moment) -> [HeldChange] {
        guard let last = self.held.last, last.storedAt >= now.monotonic - self.rules.hold else { return [] }
        return self.held
    }

    /// What a former owner keeps of its time.
    public func heldChanges(at now: Moment) -> [HeldChange] {
        self.recentlyHeld(at: now).filter(\.isAcknowledged)
    }

    /// The store may be another than before: what it has is looked at again, where something could be missing.
    public mutating func compare(at now: Moment, into effects: inout [ConversationEffect]) {
        if !self.recentlyHeld(at: now).isEmpty { effects.append(.mistrust) }
    }

    /// What is known of the store's side is not true any more, and is asked for at once.
    public mutating func reload(into effects: inout [ConversationEffect]) {
        guard self.knowledge == .nothing else { return }
        self.knowledge = .loading
        effects.append(.load)
    }

    /// A loop that listens has seen a change that this owner knows nothing of: either this owner slept while another was it, or the store
    /// has forgotten. Whether the one or the other, the store says.
    mutating func isBehind(_ attachment: Attachment) -> Bool {
        guard self.rules.hold > 0, attachment.revision > self.revision else { return false }
        self.toldRevision = max(self.toldRevision, attachment.revision)
        self.toldHead = max(self.toldHead, attachment.through)
        return true
    }

    // MARK: Offers of former owners

    /// A former owner says what it holds. It is answered when the store has all of it.
    mutating func offered(_ input: ConversationInput, from origin: Origin, into effects: inout [ConversationEffect]) {
        guard self.rules.hold > 0 else {
            effects.append(.answer(.done, to: origin))
            return
        }
        self.waiting.removeAll { $0.input.isOffer && $0.origin.isSame(as: origin) }
        guard self.waiting.count < ConversationRules.waitingLimit else {
            effects.append(.answer(.failed(.unavailable), to: origin))
            return
        }
        self.waiting.append(Waiting(input: input, origin: origin))
        switch self.knowledge {
        case .nothing: self.reload(into: &effects)
        case .loading: self.stopAwaiting(into: &effects)
        case .withoutRecents, .recalling, .whole: effects.append(.mistrust)
        }
    }

    /// Holders of what is missing have spoken, or their time is over.
    mutating func stopAwaiting(into effects: inout [ConversationEffect]) {
        guard self.restoring.isAwaiting else { return }
        self.restoring.isAwaiting = false
        effects.append(.load)
    }

    mutating func tickRestoring(at now: Moment, into effects: inout [ConversationEffect]) {
        guard self.restoring.isAwaiting else { return }
        if now.monotonic >= self.restoring.awaitedUntil {
            self.stopAwaiting(into: &effects)
        } else {
            self.wake(at: self.restoring.awaitedUntil, into: &effects)
        }
    }

    // MARK: Comparing

    /// Whether what was just loaded may lack something that was answered.
    func hasToCompare(at now: Moment) -> Bool {
        self.rules.hold > 0
            && (self.storedRevision < self.toldRevision || self.waiting.contains { $0.input.isOffer }
                || !self.recentlyHeld(at: now).isEmpty)
    }

    /// Reads of the store's messages those of which something is held; where that is this owner's own alone, of one history, the newest:
    /// what is the same there is the same before. Where nothing is held, the store's newest: nothing is written again as if it were older.
    mutating func askToCompare(at now: Moment, isNewestEnough: Bool, into effects: inout [ConversationEffect]) {
        let offers = self.waiting.lazy.compactMap { $0.input.offer }
        let newest = self.held.last { $0.message != nil && $0.revision <= self.storedRevision }
        let newestNumber = newest?.message?.sequence ?? self.storedHead
        // What stands there under a number that is given has come by another way.
        let isElsewhere = self.held.contains { $0.revision > self.storedRevision && ($0.posted?.sequence ?? .max) <= self.storedHead }
        self.restoring.isNewestAlone =
            isNewestEnough && offers.isEmpty && (newest?.revision ?? .max) > self.mixedThrough && newestNumber <= self.storedHead
            && !isElsewhere
        let held = (offers + [self.held]).joined().lazy.compactMap(\.message?.sequence).min()
        let oldest = self.restoring.isNewestAlone ? newestNumber : held ?? self.storedHead
        // Sends that are to be appended again may have been made under lower numbers of another history.
        let margin = self.restoring.isNewestAlone ? 0 : self.rules.limits.recentMessages
        let first = max(1, min(oldest, self.storedHead + 1) - margin)
        guard first <= self.storedHead else {
            self.compared(Page(messages: [], head: self.storedHead, oldest: 1, revision: self.storedRevision), at: now, into: &effects)
            return
        }
        effects.append(.compare(after: first - 1, limit: self.restoring.isNewestAlone ? 1 : self.storedHead - first + 1))
    }

    /// What the store has where something is held.
    public mutating func compared(_ page: Page, at now: Moment, into effects: inout [ConversationEffect]) {
        guard self.knowledge == .loading, self.restoringThrough == 0 else { return }
        let offers = self.waiting.compactMap { $0.input.offer }
        let comparison = StoreComparison(
            own: self.held, offered: offers, record: self.record, page: page, isWhole: !self.restoring.isNewestAlone,
            stored: self.storedRevision)
        if self.restoring.isNewestAlone, !offers.isEmpty || !comparison.displaced.isEmpty {
            self.askToCompare(at: now, isNewestEnough: false, into: &effects)
            return
        }
        if comparison.lacksSome(through: self.toldRevision), self.isWorthAwaiting(at: now, into: &effects) { return }
        for place in self.waiting.indices { self.waiting[place].isCompared = self.waiting[place].input.isOffer }
        self.held.removeSubrange(comparison.ownKept...)
        for place in comparison.ownLost.reversed() { self.held.remove(at: place) }
        // The store has them: whoever asks again is answered from there.
        for place in self.held.indices { self.held[place].isAcknowledged = true }
        self.restore(comparison, page, at: now, into: &effects)
        if !offers.isEmpty || !comparison.displaced.isEmpty { self.mixedThrough = self.revision }
        self.restoringThrough = self.revision
        if self.storedRevision == self.revision { self.restored(at: now, into: &effects) }
    }

    /// Somebody may hold what is missing: all loops are asked once, and given some time.
    private mutating func isWorthAwaiting(at now: Moment, into effects: inout [ConversationEffect]) -> Bool {
        if self.restoring.awaitedUntil == 0 {
            self.restoring.awaitedUntil = now.monotonic + ConversationRules.holdersPatience
            effects.append(.seekHolders)
        }
        guard now.monotonic < self.restoring.awaitedUntil else { return false }
        self.restoring.isAwaiting = true
        self.wake(at: self.restoring.awaitedUntil, into: &effects)
        return true
    }

    /// The store has all that is held anywhere: whoever waits is heard.
    mutating func restored(at now: Moment, into effects: inout [ConversationEffect]) {
        if self.restoring.changes != RestoredChanges() { effects.append(.restored(self.restoring.changes)) }
        self.endRestoring(into: &effects)
        self.restoringThrough = 0
        self.toldRevision = self.storedRevision
        self.toldHead = self.storedHead
        self.knowledge = self.head == 0 ? .whole : .withoutRecents
        self.goOn(at: now, into: &effects)
    }

    /// Those who have shown what the store has displaced are to see what it has instead, and those who have not heard of what is there again
    /// are to hear of it.
    mutating func endRestoring(into effects: inout [ConversationEffect]) {
        if self.restoring.changes.moved > 0 || self.restoring.isUntold { effects.append(.callAgain) }
        self.restoring.end()
    }

    // MARK: Writing again

    /// Writes again what the store, as it was just loaded, has lost; until it is stored everything waits.
    private mutating func restore(_ comparison: StoreComparison, _ page: Page, at now: Moment, into effects: inout [ConversationEffect]) {
        var displaced: [HeldChange] = []
        var known = KnownMessages(page)
        self.lastSentAt = max(self.lastSentAt, known.lastSentAt)
        for (place, missing) in comparison.missing.enumerated() {
            let next = comparison.missing[place...].lazy.compactMap(\.posted).first
            self.fill(
                below: missing.revision, head: next.map { $0.sequence - 1 } ?? self.toldHead, sentAt: next?.sentAt, at: now, into: &effects)
            if let message = missing.message {
                // A send that was made twice while nothing was known of the newest messages is written once, and what was amended may have
                // come to another number.
                let isDisplaced =
                    missing.posted != nil ? message.sequence != self.head + 1 || known.hasSend(of: message) : known.isElsewhere(message)
                if isDisplaced {
                    displaced.append(missing)
                    continue
                }
                known.note(message)
            }
            self.restore(missing.change, at: now, into: &effects)
            self.restoring.changes.inPlace += 1
        }
        // A message comes before what became of it, whoever holds the one and the other.
        displaced = (displaced + comparison.displaced).sorted { $0.revision < $1.revision }
        for (place, change) in displaced.enumerated() {
            let later = displaced[place...].dropFirst()
            self.append(change.change, followedBy: later, &known, at: now, into: &effects)
        }
        self.fill(below: self.toldRevision + 1, head: self.toldHead, sentAt: nil, at: now, into: &effects)
    }

    private mutating func restore(_ change: Write.Change, at now: Moment, into effects: inout [ConversationEffect]) {
        self.revision += 1
        var change = change
        switch change {
        case .create(let record): self.record = record
        case .message(var message):
            self.head = message.sequence
            self.lastSentAt = max(self.lastSentAt, message.sentAt.milliseconds)
            message.revision = self.revision
            change = .message(message)
        case .amend(var message, let time):
            message.revision = self.revision
            change = .amend(message, at: time)
            self.restoring.isUntold = true
        case .member(var member):
            member = self.members.withKnownCursors(member)
            _ = self.members.insert(member, isMember: true)
            change = .member(member)
        case .remove(let user):
            if let number = self.members.member(user) { self.members.remove(number) }
            // Who is no member is to hear no more.
            self.restoring.isUntold = true
        case .end(let time):
            self.record?.endedAt = time
            self.restoring.isUntold = true
        case .cursors, .skip: break
        }
        // Not when it is stored: should that fail, it is still what the store is to have.
        self.hold(change, self.revision, isAcknowledged: true, at: now)
        effects.append(.write(change, revision: self.revision, asked: nil))
    }

    /// Does again, as the next change, what another history has taken the number of; nothing where that has done it as well.
    private mutating func append(
        _ change: Write.Change, followedBy later: ArraySlice<HeldChange>, _ known: inout KnownMessages, at now: Moment,
        into effects: inout [ConversationEffect]
    ) {
        let again: Write.Change
        switch change {
        case .message(var message):
            // Its author's node may have sent it to the other master as well.
            guard known.sequence(of: message) == nil else { return }
            // What was deleted afterwards comes without its words: they must not be seen for a moment.
            let isDeleted = later.contains { $0.message.map { $0.state == .deleted && $0.isSame(as: message) } ?? false }
            if isDeleted { message = message.deleted(revision: 0) }
            message.sequence = self.head + 1
            message.sentAt = Timestamp(milliseconds: max(message.sentAt.milliseconds, self.lastSentAt))
            known.note(message)
            again = .message(message)
        case .amend(var message, let time):
            guard let sequence = known.sequence(of: message) ?? known.sequenceBefore(message), sequence <= self.head else {
                // Nobody has the message itself any more, but what it became.
                guard message.state == .edited else { return }
                message.state = .asSent
                return self.append(.message(message), followedBy: later, &known, at: now, into: &effects)
            }
            message.sequence = sequence
            if let current = known[sequence] {
                let isDone = current.state == message.state && current.body.content == message.body.content
                guard current.state != .deleted, !isDone else { return }
                message.sentAt = current.sentAt
            }
            known.note(message)
            again = .amend(message, at: time)
        case .member(let member):
            guard self.members.member(member.user) == nil else { return }
            again = change
        case .remove(let user):
            guard self.members.member(user) != nil else { return }
            again = change
        case .end:
            guard self.record?.endedAt == nil else { return }
            again = change
        case .create:
            guard self.revision == 0 else { return }
            again = change
        case .cursors, .skip:
            return
        }
        self.restore(again, at: now, into: &effects)
        self.restoring.changes.moved += 1
    }

    /// Takes the numbers of changes that nobody has any more, so that no other gets them.
    ///
    /// - Parameter sentAt: of the message that follows, which none before it was sent after.
    private mutating func fill(
        below revision: Revision, head: SequenceNumber, sentAt: Timestamp?, at now: Moment, into effects: inout [ConversationEffect]
    ) {
        while self.revision + 1 < revision {
            self.restoring.changes.lost += 1
            if self.revision == 0 {
                let record = self.record ?? ConversationRecord(access: .closed, creator: nil, createdAt: now.wall)
                self.restore(.create(record), at: now, into: &effects)
            } else if self.head < head {
                let nobody = MessageBody(author: Person(id: UserID(anonymous: "nobody"), name: "nobody"), clientID: nil, content: "")
                let sentAt = Timestamp(milliseconds: max(self.lastSentAt, (sentAt ?? now.wall).milliseconds))
                let message = Message(sequence: self.head + 1, revision: 0, sentAt: sentAt, state: .deleted, body: nobody)
                self.restore(.message(message), at: now, into: &effects)
            } else {
                self.restore(.skip, at: now, into: &effects)
            }
        }
    }
}
