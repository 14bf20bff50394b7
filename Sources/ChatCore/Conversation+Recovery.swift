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
    public mutating func retain(_ change: Write.Change, _ revision: Revision, at now: ClockReading)
    {
        self.retain(change, revision, isAcknowledged: false, at: now)
    }

    private mutating func retain(
        _ change: Write.Change, _ revision: Revision, isAcknowledged: Bool, at now: ClockReading
    ) {
        guard self.rules.retention > 0, revision > self.retained.last?.revision ?? 0 else { return }
        // Not each time: the one in the middle is in nobody's cache.
        let half = self.retained.count / 2
        if half >= 16, self.retained.count % 16 == 0,
            self.retained[half].storedAt < now.monotonic - self.rules.retention
        {
            self.retained.removeFirst(half)
        }
        self.retained.append(
            RetainedWrite(
                revision: revision, change: change, storedAt: now.monotonic,
                isAcknowledged: isAcknowledged))
    }

    /// The store has refused a change for certain; those behind it cannot be stored either. Acknowledged ones, which are being written
    /// again, stay held.
    public mutating func discardRefused(_ change: Write.Change, _ revision: Revision) {
        guard let place = self.indexOfRetained(change, revision),
            !self.retained[place].isAcknowledged
        else { return }
        // Kept, they would be restored, with the number that is missing between as one that is lost.
        self.retained.removeSubrange(place...)
    }

    private func indexOfRetained(_ change: Write.Change, _ revision: Revision) -> Int? {
        guard let place = self.retained.lastIndex(where: { $0.revision <= revision }),
            self.retained[place].isSame(
                as: RetainedWrite(revision: revision, change: change, storedAt: 0))
        else { return nil }
        return place
    }

    /// A change is stored: it is acknowledged. Later ones are on their way, or were held when the number came to another.
    public mutating func retainStored(
        _ change: Write.Change, _ revision: Revision, at now: ClockReading
    ) {
        guard self.rules.retention > 0, self.recoveringThrough == 0 else { return }
        guard let last = self.retained.last, last.revision >= revision else {
            return self.retain(change, revision, isAcknowledged: true, at: now)
        }
        let stored = RetainedWrite(revision: revision, change: change, storedAt: now.monotonic)
        // From the end: what is on its way is there.
        let place = (self.retained.lastIndex { $0.revision < revision } ?? -1) + 1
        if self.retained[place].revision > revision {
            self.retained.insert(stored, at: place)
        } else if self.retained[place].isSame(as: stored) {
            self.retained[place].isAcknowledged = true
        } else {
            self.retained.removeSubrange(place...)
            self.retained.append(stored)
        }
    }

    /// The store says that it has a change of before it was loaded again. Where what was loaded lacks it, the store has lost it since.
    public mutating func storedBeforeReload(
        _ change: Write.Change, revision: Revision, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        self.retainStored(change, revision, at: now)
        switch self.loadState {
        case .withoutRecents, .loadingRecents, .complete:
            if revision > self.storedRevision { effects.append(.invalidate) }
        case .unloaded, .loading: break
        }
    }

    /// The store, as it was just loaded, does not have these writes: they were never acknowledged, and are never written again.
    mutating func discardUnacknowledged() {
        self.retained.removeAll { !$0.isAcknowledged && $0.revision > self.storedRevision }
    }

    /// What is held of the last moments: nothing where the last of it is too old to be forgotten by any store.
    private func recentlyRetained(at now: ClockReading) -> [RetainedWrite] {
        guard let last = self.retained.last, last.storedAt >= now.monotonic - self.rules.retention
        else { return [] }
        return self.retained
    }

    /// What a former owner keeps of its time.
    public func retainedWrites(at now: ClockReading) -> [RetainedWrite] {
        self.recentlyRetained(at: now).filter(\.isAcknowledged)
    }

    /// The store may be another than before: what it has is looked at again, where something could be missing.
    public mutating func recheckStore(
        at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        if !self.recentlyRetained(at: now).isEmpty { effects.append(.invalidate) }
    }

    /// What is known of the store's side is not true any more, and is asked for at once.
    public mutating func reload(into effects: inout [ConversationEffect]) {
        guard self.loadState == .unloaded else { return }
        self.loadState = .loading
        effects.append(.load)
    }

    /// A loop that listens has seen a change that this owner knows nothing of: either this owner slept while another was it, or the store
    /// has forgotten. Whether the one or the other, the store says.
    mutating func isBehind(_ attachment: Attachment) -> Bool {
        guard self.rules.retention > 0, attachment.revision > self.revision else { return false }
        self.publishedRevision = max(self.publishedRevision, attachment.revision)
        self.publishedHead = max(self.publishedHead, attachment.head)
        return true
    }

    // MARK: Offers of former owners

    /// A former owner says what it holds. It is answered when the store has all of it.
    mutating func receiveOffer(
        _ input: ConversationInput, from origin: RequestOrigin,
        into effects: inout [ConversationEffect]
    ) {
        guard self.rules.retention > 0 else {
            effects.append(.answer(.done, to: origin))
            return
        }
        self.waitingInputs.removeAll { $0.input.isOffer && $0.origin.isSame(as: origin) }
        guard self.waitingInputs.count < ConversationRules.waitingLimit else {
            effects.append(.answer(.failed(.unavailable), to: origin))
            return
        }
        self.waitingInputs.append(WaitingInput(input: input, origin: origin))
        switch self.loadState {
        case .unloaded: self.reload(into: &effects)
        case .loading: self.stopAwaitingHolders(into: &effects)
        case .withoutRecents, .loadingRecents, .complete: effects.append(.invalidate)
        }
    }

    /// Holders of what is missing have spoken, or their time is over.
    mutating func stopAwaitingHolders(into effects: inout [ConversationEffect]) {
        guard self.recovery.isAwaitingHolders else { return }
        self.recovery.isAwaitingHolders = false
        effects.append(.load)
    }

    mutating func tickRecovery(at now: ClockReading, into effects: inout [ConversationEffect]) {
        guard self.recovery.isAwaitingHolders else { return }
        if now.monotonic >= self.recovery.holdersDeadline {
            self.stopAwaitingHolders(into: &effects)
        } else {
            self.wake(at: self.recovery.holdersDeadline, into: &effects)
        }
    }

    // MARK: Comparing

    /// Whether what was just loaded may lack something that was answered.
    func mustReconcile(at now: ClockReading) -> Bool {
        self.rules.retention > 0
            && (self.storedRevision < self.publishedRevision
                || self.waitingInputs.contains { $0.input.isOffer }
                || !self.recentlyRetained(at: now).isEmpty)
    }

    /// Reads of the store's messages those of which something is held; where that is this owner's own alone, of one history, the newest:
    /// what is the same there is the same before. Where nothing is held, the store's newest: nothing is written again as if it were older.
    mutating func requestReconciliation(
        at now: ClockReading, newestSuffices isNewestEnough: Bool,
        into effects: inout [ConversationEffect]
    ) {
        let offers = self.waitingInputs.lazy.compactMap { $0.input.offeredWrites }
        let newest = self.retained.last { $0.message != nil && $0.revision <= self.storedRevision }
        let newestNumber = newest?.message?.sequence ?? self.storedHead
        // What stands there under a number that is given has come by another way.
        let isElsewhere = self.retained.contains {
            $0.revision > self.storedRevision && ($0.posted?.sequence ?? .max) <= self.storedHead
        }
        self.recovery.readsNewestOnly =
            isNewestEnough && offers.isEmpty
            && (newest?.revision ?? .max) > self.mixedHistoryThrough
            && newestNumber <= self.storedHead
            && !isElsewhere
        let held = (offers + [self.retained]).joined().lazy.compactMap(\.message?.sequence).min()
        let oldest = self.recovery.readsNewestOnly ? newestNumber : held ?? self.storedHead
        // Sends that are to be appended again may have been made under lower numbers of another history.
        let margin = self.recovery.readsNewestOnly ? 0 : self.rules.limits.recentMessages
        let first = max(1, min(oldest, self.storedHead + 1) - margin)
        guard first <= self.storedHead else {
            self.reconcile(
                MessagePage(
                    messages: [], head: self.storedHead, oldest: 1, revision: self.storedRevision),
                at: now, into: &effects)
            return
        }
        effects.append(
            .readHistory(
                after: first - 1,
                limit: self.recovery.readsNewestOnly ? 1 : self.storedHead - first + 1))
    }

    /// What the store has where something is held.
    public mutating func reconcile(
        _ page: MessagePage, at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        guard self.loadState == .loading, self.recoveringThrough == 0 else { return }
        let offers = self.waitingInputs.compactMap { $0.input.offeredWrites }
        let comparison = HistoryReconciliation(
            own: self.retained, offered: offers, record: self.record, page: page,
            isWhole: !self.recovery.readsNewestOnly,
            storedRevision: self.storedRevision)
        if self.recovery.readsNewestOnly, !offers.isEmpty || !comparison.displaced.isEmpty {
            self.requestReconciliation(at: now, newestSuffices: false, into: &effects)
            return
        }
        if comparison.isIncomplete(through: self.publishedRevision),
            self.shouldAwaitHolders(at: now, into: &effects)
        {
            return
        }
        for place in self.waitingInputs.indices {
            self.waitingInputs[place].isReconciled = self.waitingInputs[place].input.isOffer
        }
        self.retained.removeSubrange(comparison.ownStoredCount...)
        for place in comparison.ownLostIndices.reversed() { self.retained.remove(at: place) }
        // The store has them: whoever asks again is answered from there.
        for place in self.retained.indices { self.retained[place].isAcknowledged = true }
        self.writeMissing(comparison, page, at: now, into: &effects)
        if !offers.isEmpty || !comparison.displaced.isEmpty {
            self.mixedHistoryThrough = self.revision
        }
        self.recoveringThrough = self.revision
        if self.storedRevision == self.revision { self.finishRecovery(at: now, into: &effects) }
    }

    /// Somebody may hold what is missing: all loops are asked once, and given some time.
    private mutating func shouldAwaitHolders(
        at now: ClockReading, into effects: inout [ConversationEffect]
    ) -> Bool {
        if self.recovery.holdersDeadline == 0 {
            self.recovery.holdersDeadline = now.monotonic + ConversationRules.holderTimeout
            effects.append(.queryHolders)
        }
        guard now.monotonic < self.recovery.holdersDeadline else { return false }
        self.recovery.isAwaitingHolders = true
        self.wake(at: self.recovery.holdersDeadline, into: &effects)
        return true
    }

    /// The store has all that is held anywhere: whoever waits is heard.
    mutating func finishRecovery(at now: ClockReading, into effects: inout [ConversationEffect]) {
        if self.recovery.counts != RecoveryCounts() {
            effects.append(.recovered(self.recovery.counts))
        }
        self.resetRecovery(into: &effects)
        self.recoveringThrough = 0
        self.publishedRevision = self.storedRevision
        self.publishedHead = self.storedHead
        self.loadState = self.head == 0 ? .complete : .withoutRecents
        self.resumeWaiting(at: now, into: &effects)
    }

    /// Those who have shown what the store has displaced are to see what it has instead, and those who have not heard of what is there again
    /// are to hear of it.
    mutating func resetRecovery(into effects: inout [ConversationEffect]) {
        if self.recovery.counts.moved > 0 || self.recovery.needsReattach {
            effects.append(.requestReattach)
        }
        self.recovery.reset()
    }

    // MARK: Writing again

    /// Writes again what the store, as it was just loaded, has lost; until it is stored everything waits.
    private mutating func writeMissing(
        _ comparison: HistoryReconciliation, _ page: MessagePage, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        var displaced: [RetainedWrite] = []
        var known = StoredMessageIndex(page)
        self.lastSentAt = max(self.lastSentAt, known.lastSentAt)
        for (place, missing) in comparison.missing.enumerated() {
            let next = comparison.missing[place...].lazy.compactMap(\.posted).first
            self.fillGaps(
                below: missing.revision, head: next.map { $0.sequence - 1 } ?? self.publishedHead,
                sentAt: next?.sentAt, at: now, into: &effects)
            if let message = missing.message {
                // A send that was made twice while nothing was known of the newest messages is written once, and what was amended may have
                // come to another number.
                let isDisplaced =
                    missing.posted != nil
                    ? message.sequence != self.head + 1 || known.hasSend(of: message)
                    : known.isDisplaced(message)
                if isDisplaced {
                    displaced.append(missing)
                    continue
                }
                known.record(message)
            }
            self.rewrite(missing.change, at: now, into: &effects)
            self.recovery.counts.inPlace += 1
        }
        // A message comes before what became of it, whoever holds the one and the other.
        displaced = (displaced + comparison.displaced).sorted { $0.revision < $1.revision }
        for (place, change) in displaced.enumerated() {
            let later = displaced[place...].dropFirst()
            self.appendDisplaced(change.change, followedBy: later, &known, at: now, into: &effects)
        }
        self.fillGaps(
            below: self.publishedRevision + 1, head: self.publishedHead, sentAt: nil, at: now,
            into: &effects)
    }

    private mutating func rewrite(
        _ change: Write.Change, at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
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
            self.recovery.needsReattach = true
        case .member(var member):
            member = self.members.withKnownCursors(member)
            _ = self.members.insert(member, isMember: true)
            change = .member(member)
        case .remove(let user):
            if let number = self.members.memberNumber(of: user) { self.members.remove(number) }
            // Who is no member is to hear no more.
            self.recovery.needsReattach = true
        case .end(let time):
            self.record?.endedAt = time
            self.recovery.needsReattach = true
        case .cursors, .skip: break
        }
        // Not when it is stored: should that fail, it is still what the store is to have.
        self.retain(change, self.revision, isAcknowledged: true, at: now)
        effects.append(.write(change, revision: self.revision, origin: nil))
    }

    /// Does again, as the next change, what another history has taken the number of; nothing where that has done it as well.
    private mutating func appendDisplaced(
        _ change: Write.Change, followedBy later: ArraySlice<RetainedWrite>,
        _ known: inout StoredMessageIndex, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        let again: Write.Change
        switch change {
        case .message(var message):
            // Its author's node may have sent it to the other master as well.
            guard known.sequence(of: message) == nil else { return }
            // What was deleted afterwards comes without its words: they must not be seen for a moment.
            let isDeleted = later.contains {
                $0.message.map { $0.state == .deleted && $0.isSame(as: message) } ?? false
            }
            if isDeleted { message = message.deleted(revision: 0) }
            message.sequence = self.head + 1
            message.sentAt = Timestamp(
                milliseconds: max(message.sentAt.milliseconds, self.lastSentAt))
            known.record(message)
            again = .message(message)
        case .amend(var message, let time):
            guard let sequence = known.sequence(of: message) ?? known.sequenceIfOlder(message),
                sequence <= self.head
            else {
                // Nobody has the message itself any more, but what it became.
                guard message.state == .edited else { return }
                message.state = .asSent
                return self.appendDisplaced(
                    .message(message), followedBy: later, &known, at: now, into: &effects)
            }
            message.sequence = sequence
            if let current = known[sequence] {
                let isDone =
                    current.state == message.state && current.body.content == message.body.content
                guard current.state != .deleted, !isDone else { return }
                message.sentAt = current.sentAt
            }
            known.record(message)
            again = .amend(message, at: time)
        case .member(let member):
            guard self.members.memberNumber(of: member.user) == nil else { return }
            again = change
        case .remove(let user):
            guard self.members.memberNumber(of: user) != nil else { return }
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
        self.rewrite(again, at: now, into: &effects)
        self.recovery.counts.moved += 1
    }

    /// Takes the numbers of changes that nobody has any more, so that no other gets them.
    ///
    /// - Parameter sentAt: of the message that follows, which none before it was sent after.
    private mutating func fillGaps(
        below revision: Revision, head: SequenceNumber, sentAt: Timestamp?, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        while self.revision + 1 < revision {
            self.recovery.counts.lost += 1
            if self.revision == 0 {
                let record =
                    self.record
                    ?? ConversationRecord(joinPolicy: .closed, creator: nil, createdAt: now.wall)
                self.rewrite(.create(record), at: now, into: &effects)
            } else if self.head < head {
                let nobody = MessageBody(
                    author: Person(id: UserID(anonymous: "nobody"), name: "nobody"),
                    clientMessageID: nil, content: "")
                let sentAt = Timestamp(
                    milliseconds: max(self.lastSentAt, (sentAt ?? now.wall).milliseconds))
                let message = Message(
                    sequence: self.head + 1, revision: 0, sentAt: sentAt, state: .deleted,
                    body: nobody)
                self.rewrite(.message(message), at: now, into: &effects)
            } else {
                self.rewrite(.skip, at: now, into: &effects)
            }
        }
    }
}
