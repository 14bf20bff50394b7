import Bytes
public import ChatModel

/// Recovery from a store that has lost acknowledged changes: the owner writes them again, under the
/// same numbers. `Recovery` decides what is missing; here are its inputs and the consequences.
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
        guard case .unloaded = self.phase else { return }
        self.phase = .loading(holdersDeadline: nil)
        effects.append(.load)
    }

    /// Whether a subscribed loop has delivered a change that this owner does not know. Either
    /// another loop was the owner while this one was suspended, or the store has lost the change.
    /// Only the store can tell.
    mutating func isBehind(_ attachment: Attachment) -> Bool {
        guard self.rules.recovery.isEnabled, attachment.revision > self.revision else {
            return false
        }
        self.published.record(attachment.revision, head: attachment.head)
        return true
    }

    // MARK: Offers of former owners

    /// A former owner offers the changes that it has retained. The answer follows when the store
    /// has all of them.
    mutating func receiveOffer(
        _ input: ConversationInput, from origin: RequestOrigin,
        into effects: inout [ConversationEffect]
    ) {
        guard self.rules.recovery.isEnabled else {
            effects.append(.answer(.done, to: origin))
            return
        }
        self.waitingInputs.removeAll { $0.input.isOffer && $0.origin.isSame(as: origin) }
        guard self.waitingInputs.count < ConversationRules.waitingLimit else {
            effects.append(.answer(.failed(.unavailable), to: origin))
            return
        }
        self.waitingInputs.append(WaitingInput(input: input, origin: origin))
        if self.phase.isServing {
            effects.append(.invalidate)
        } else {
            self.reload(into: &effects)
            self.stopAwaitingHolders(into: &effects)
        }
    }

    /// Ends the wait for missing changes, after an offer or a timeout.
    private mutating func stopAwaitingHolders(into effects: inout [ConversationEffect]) {
        guard case .awaitingHolders(let deadline) = self.phase else { return }
        self.phase = .loading(holdersDeadline: deadline)
        effects.append(.load)
    }

    mutating func tickRecovery(at now: ClockReading, into effects: inout [ConversationEffect]) {
        guard case .awaitingHolders(let deadline) = self.phase else { return }
        if now.monotonic >= deadline {
            self.stopAwaitingHolders(into: &effects)
        } else {
            self.wake(at: deadline, into: &effects)
        }
    }

    // MARK: Comparing and writing again

    /// Whether the state just loaded may lack acknowledged changes.
    func mustReconcile(at now: ClockReading) -> Bool {
        self.rules.recovery.isEnabled
            && (self.storedRevision < self.published.revision
                || self.waitingInputs.contains { $0.input.isOffer }
                || !self.recentlyRetained(at: now).isEmpty)
    }

    /// - Parameter holdersDeadline: nil if no holder has been queried for missing changes.
    func recovery(_ holdersDeadline: Int64?, at now: ClockReading) -> Recovery {
        Recovery(
            own: self.retained, mixedThrough: self.mixedHistoryThrough,
            offered: self.waitingInputs.compactMap { $0.input.offeredWrites },
            stored: HistoryState(
                record: self.record, members: self.members, pins: self.pins, head: self.head,
                revision: self.revision, lastSentAt: self.lastSentAt),
            published: self.published, margin: self.rules.limits.recentMessages,
            mayAwaitHolders: holdersDeadline.map { now.monotonic < $0 } ?? true, now: now.wall)
    }

    /// The stored messages that were requested for a comparison.
    public mutating func reconcile(
        _ page: MessagePage, at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        guard case .comparing(let isNewestOnly, let holdersDeadline) = self.phase else { return }
        let recovery = self.recovery(holdersDeadline, at: now)
        self.execute(
            recovery.verdict(page, isNewestOnly: isNewestOnly), holdersDeadline, at: now,
            into: &effects)
    }

    mutating func execute(
        _ verdict: Recovery.RecoveryVerdict, _ holdersDeadline: Int64?, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        switch verdict {
        case .read(let sequence, let limit, let isNewestOnly):
            self.phase = .comparing(isNewestOnly: isNewestOnly, holdersDeadline: holdersDeadline)
            effects.append(.readHistory(after: sequence, limit: limit))
        case .awaitHolders:
            if holdersDeadline == nil { effects.append(.queryHolders) }
            let deadline = holdersDeadline ?? now.monotonic + ConversationRules.holderTimeout
            self.phase = .awaitingHolders(until: deadline)
            self.wake(at: deadline, into: &effects)
        case .rewrite(let history):
            self.rewrite(history, at: now, into: &effects)
        }
    }

    /// Writes what the store lacks. All inputs wait until it is stored.
    private mutating func rewrite(
        _ history: RecoveredHistory, at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        for index in self.waitingInputs.indices {
            self.waitingInputs[index].isReconciled = self.waitingInputs[index].input.isOffer
        }
        self.record = history.state.record
        self.members = history.state.members
        self.pins = history.state.pins
        self.head = history.state.head
        self.lastSentAt = history.state.lastSentAt
        self.threadRoots = ThreadRoots(after: self.head)
        self.retained = history.retained
        for change in history.changes {
            self.revision += 1
            // Retained before it is stored: if the write fails, the store must still get it.
            self.retain(change, self.revision, isAcknowledged: true, at: now)
            effects.append(.write(change, revision: self.revision, origin: nil))
        }
        if history.isMixed { self.mixedHistoryThrough = self.revision }
        let rewriting = Rewriting(
            through: self.revision, counts: history.counts, mustReattach: history.mustReattach)
        self.phase = .rewriting(rewriting)
        if history.changes.isEmpty { self.finish(rewriting, at: now, into: &effects) }
    }

    /// The store has every change that was retained or offered, so the waiting inputs are handled.
    /// Changes that were offered meanwhile come first, before an input takes their numbers.
    mutating func finish(
        _ rewriting: Rewriting, at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        if rewriting.counts != RecoveryCounts() { effects.append(.recovered(rewriting.counts)) }
        if rewriting.mustReattach { effects.append(.requestReattach) }
        if self.waitingInputs.contains(where: { $0.input.isOffer && !$0.isReconciled }) {
            self.phase = .loading(holdersDeadline: nil)
            effects.append(.load)
        } else {
            self.serve(at: now, into: &effects)
        }
    }
}
