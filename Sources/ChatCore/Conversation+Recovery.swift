import Bytes
public import ChatModel

/// Recovery from a store that has lost acknowledged changes: the owner writes them again, under the
/// same numbers.
///
/// The owner compares the store with the changes that it has retained and with those that former
/// owners offer. If the store has another history under the same numbers, the store's history
/// stays, and the changes that it lacks are appended under the next numbers.
///
/// If changes are missing, the owner queries all loops before it gives them up. Clients have seen
/// their numbers, so empty, deleted messages then take them.
extension Conversation {
    /// The store may be another server than before: it is loaded again if it could lack something.
    public mutating func recheckStore(
        at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        if !self.recentlyRetained(at: now).isEmpty { effects.append(.invalidate) }
    }

    /// Loads the state again at once after it was invalidated.
    public mutating func reload(into effects: inout [ConversationEffect]) {
        guard self.loadState == .unloaded else { return }
        self.loadState = .loading
        effects.append(.load)
    }

    /// Whether a subscribed loop has delivered a change that this owner does not know. Either
    /// another loop was the owner while this one was suspended, or the store has lost the change.
    /// Only the store can tell.
    mutating func isBehind(_ attachment: Attachment) -> Bool {
        guard self.rules.retention > 0, attachment.revision > self.revision else { return false }
        self.publishedRevision = max(self.publishedRevision, attachment.revision)
        self.publishedHead = max(self.publishedHead, attachment.head)
        return true
    }

    // MARK: Offers of former owners

    /// A former owner offers the changes that it has retained. The answer follows when the store
    /// has all of them.
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
        case .withoutRecents, .loadingRecents, .complete, .loadingReplyTarget:
            effects.append(.invalidate)
        }
    }

    /// Ends the wait for missing changes, after an offer or a timeout.
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

    // MARK: Reconciliation

    /// Whether the state just loaded may lack acknowledged changes.
    func mustReconcile(at now: ClockReading) -> Bool {
        self.rules.retention > 0
            && (self.storedRevision < self.publishedRevision
                || self.waitingInputs.contains { $0.input.isOffer }
                || !self.recentlyRetained(at: now).isEmpty)
    }

    /// Reads the stored messages that correspond to retained ones.
    ///
    /// If only this owner has retained changes, and all are of one history, the newest is enough:
    /// if it matches, all earlier ones match. If no message is retained, the newest stored ones are
    /// read. With an empty page, every message would count as older than the stored ones.
    mutating func requestReconciliation(
        at now: ClockReading, newestSuffices: Bool,
        into effects: inout [ConversationEffect]
    ) {
        let offers = self.waitingInputs.lazy.compactMap { $0.input.offeredWrites }
        let newest = self.retained.last { $0.message != nil && $0.revision <= self.storedRevision }
        let newestNumber = newest?.message?.sequence ?? self.storedHead
        // The store's head covers the number of a retained message that the store lacks: another
        // owner has used the number.
        let isTaken = self.retained.contains {
            $0.revision > self.storedRevision && ($0.posted?.sequence ?? .max) <= self.storedHead
        }
        self.recovery.readsNewestOnly =
            newestSuffices && offers.isEmpty
            && (newest?.revision ?? .max) > self.mixedHistoryThrough
            && newestNumber <= self.storedHead
            && !isTaken
        let oldestRetained = (offers + [self.retained]).joined().lazy.compactMap(
            \.message?.sequence
        ).min()
        let oldest =
            self.recovery.readsNewestOnly ? newestNumber : oldestRetained ?? self.storedHead
        // A message to append may already be stored under a lower number of another history.
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

    /// Compares the stored messages with the retained and offered changes, and writes what is
    /// missing.
    public mutating func reconcile(
        _ page: MessagePage, at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        guard self.loadState == .loading, self.recoveringThrough == 0 else { return }
        let offers = self.waitingInputs.compactMap { $0.input.offeredWrites }
        let reconciliation = HistoryReconciliation(
            own: self.retained, offered: offers, record: self.record, page: page,
            isWhole: !self.recovery.readsNewestOnly,
            storedRevision: self.storedRevision)
        if self.recovery.readsNewestOnly, !offers.isEmpty || !reconciliation.displaced.isEmpty {
            self.requestReconciliation(at: now, newestSuffices: false, into: &effects)
            return
        }
        if reconciliation.isIncomplete(through: self.publishedRevision),
            self.shouldAwaitHolders(at: now, into: &effects)
        {
            return
        }
        for index in self.waitingInputs.indices {
            self.waitingInputs[index].isReconciled = self.waitingInputs[index].input.isOffer
        }
        self.retained.removeSubrange(reconciliation.ownStoredCount...)
        for index in reconciliation.ownLostIndices.reversed() { self.retained.remove(at: index) }
        // The store has them, so retries are answered from the store.
        for index in self.retained.indices { self.retained[index].isAcknowledged = true }
        self.writeMissing(reconciliation, page, at: now, into: &effects)
        if !offers.isEmpty || !reconciliation.displaced.isEmpty {
            self.mixedHistoryThrough = self.revision
        }
        self.recoveringThrough = self.revision
        if self.storedRevision == self.revision { self.finishRecovery(at: now, into: &effects) }
    }

    /// Another loop may have retained what is missing: all loops are queried once and get some time
    /// to answer.
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

    /// The store has every retained change of every loop, so the waiting inputs are handled.
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

    /// Subscribers with a displaced change must get what the store has in its place. Subscribers
    /// may also lack changes that were written again. Both need to attach again.
    mutating func resetRecovery(into effects: inout [ConversationEffect]) {
        if self.recovery.counts.moved > 0 || self.recovery.needsReattach {
            effects.append(.requestReattach)
        }
        self.recovery.reset()
    }
}
