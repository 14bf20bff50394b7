import Bytes
public import ChatModel

/// One conversation, as its owner holds it: who may do what, which number a message gets, who hears of it.
///
/// It decides and does nothing: every function takes what happened and appends what is to be done. Numbers are given
/// when a command comes, answers and events leave when the store has accepted, in the order of the revisions.
///
/// What the store knows (members, numbers) and what only the owner knows (who listens, who is present) are apart: when
/// a write has failed the first is forgotten and loaded again, and the listeners notice nothing.
public struct Conversation: Sendable {
    /// How much of what the store knows is known here.
    enum LoadState: UInt8, Sendable {
        case unloaded, loading
        /// All but the newest messages' senders.
        case withoutRecents
        case loadingRecents, complete
    }

    enum LifecycleState: UInt8, Sendable { case missing, active, ended }

    // What every message touches stands first, so that it shares few lines of the cache.
    var loadState = LoadState.unloaded
    private(set) var lifecycle = LifecycleState.missing
    /// See `ConversationKey.isInbox`.
    let isInbox: Bool
    /// The owner says that the store takes no writes at the moment.
    public var areWritesUnavailable = false
    /// The last number and revision given, and the last ones stored.
    var head: SequenceNumber = 0
    var revision: Revision = 0
    public internal(set) var storedHead: SequenceNumber = 0
    public internal(set) var storedRevision: Revision = 0
    var lastSentAt: Int64 = 0
    /// The record's `updatedAt`, which moves with every message that is stored; the record's own stands still.
    private(set) var updatedAt = Timestamp(milliseconds: 0)
    var members = MemberTable()
    var recents: RecentMessages
    /// Loops that hear every event.
    public internal(set) var subscribers = SubscriberLoops()
    /// Sends that repeat one that is on its way.
    var repeatedSends: [RepeatedSend] = []
    /// What the above takes.
    public static var hotBytes: Int { MemoryLayout<Self>.offset(of: \.rules)! }

    /// What the store may forget, oldest first.
    var retained: [RetainedWrite] = []
    /// A write has failed since the conversation was last loaded.
    public internal(set) var hasFailedWrites = false
    /// What is held up to here is put together from more than one history.
    var mixedHistoryThrough: Revision = 0
    /// The newest change and message that anybody was ever told of, as far as this owner knows.
    var publishedRevision: Revision = 0
    var publishedHead: SequenceNumber = 0
    /// Until this is stored, what the store had forgotten is being written again; 0 when it is not.
    var recoveringThrough: Revision = 0
    var recovery = RecoveryState()
    let rules: ConversationRules
    /// Nil while there is no such conversation.
    var record: ConversationRecord? {
        didSet {
            self.lifecycle =
                self.record == nil ? .missing : self.record?.endedAt == nil ? .active : .ended
        }
    }
    var endedBy: UserID?
    /// The oldest message that the store had when the conversation was loaded.
    var loadedOldest: SequenceNumber = 1
    /// Changes on their way that are no messages, oldest first: hardly ever more than a few.
    var pendingChanges: [PendingChange] = []
    var waitingInputs: [WaitingInput] = []
    /// Messages that are being looked up, and those that were deleted meanwhile.
    var pendingLookups = 0
    var deletedDuringLookup: [Message] = []
    var typingUsers: [TypingUser] = []
    var presence = PresenceState()
    var unstoredReads = UnstoredReads()
    var dirtyCursors: [UInt32] = []
    var cursorFlushDue: Int64 = 0
    private var wakeAt: Int64 = 0

    struct WaitingInput: Sendable {
        let input: ConversationInput
        let origin: RequestOrigin
        /// Of an offer: what the store lacks of it is on its way there.
        var isReconciled = false
    }

    struct RepeatedSend: Sendable {
        let sequence: SequenceNumber
        let body: MessageBody
        let origin: RequestOrigin
    }

    /// A conversation of which nothing is known: the first command makes it ask the store.
    public init(rules: ConversationRules, isInbox: Bool = false) {
        self.rules = rules
        self.isInbox = isInbox
        self.recents = RecentMessages(next: 1, limit: rules.limits.recentMessages)
    }

    /// The oldest message that can be read; head + 1 where there is none.
    var oldest: SequenceNumber {
        let history = self.rules.limits.historyLimit
        return history == 0
            ? self.loadedOldest : max(self.loadedOldest, self.storedHead - history + 1)
    }

    /// Nobody hears it and nothing is under way: it may be dropped and loaded again when somebody asks.
    public var isIdle: Bool {
        self.subscribers.isEmpty && self.revision == self.storedRevision
            && self.waitingInputs.isEmpty && self.pendingLookups == 0
            && self.dirtyCursors.isEmpty && self.unstoredReads.isEmpty
            && self.presence.dueMembers.isEmpty && self.typingUsers.isEmpty
            && self.loadState != .loading && self.loadState != .loadingRecents
    }

    /// A message is about to be posted: what that will read is fetched. Mutating, for so it is called without a copy.
    public mutating func prefetch() {
        self.members.prefetch()
        self.recents.prefetch(self.head)
    }

    // MARK: What comes in

    public mutating func handle(
        _ input: ConversationInput, from origin: RequestOrigin, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        if input.isOffer {
            self.receiveOffer(input, from: origin, into: &effects)
            return
        }
        guard self.canHandle(input) else {
            self.deferInput(input, origin, into: &effects)
            return
        }
        switch input {
        case .command(let command): self.execute(command, from: origin, at: now, into: &effects)
        case .unsubscribe(let user):
            self.unsubscribe(user, from: origin.loop, at: now, into: &effects)
        case .attach(let attachment): self.attach(attachment, from: origin, at: now, into: &effects)
        case .detach: self.detach(origin.loop, at: now, into: &effects)
        case .delivered(let user, let range):
            self.delivered(range, to: user, at: now, into: &effects)
        case .offerRetained: break
        }
    }

    private func canHandle(_ input: ConversationInput) -> Bool {
        switch self.loadState {
        case .complete: true
        case .withoutRecents: !input.needsRecents
        // What waits here are reports of deliveries alone, which a farewell may overtake.
        case .unloaded: input.isDeparture
        // Everything waits, or a command would overtake another of the same client.
        case .loading, .loadingRecents: false
        }
    }

    private mutating func deferInput(
        _ input: ConversationInput, _ origin: RequestOrigin,
        into effects: inout [ConversationEffect]
    ) {
        // Farewells are always taken: they are no more than what came before, and nothing would make up for a lost one.
        guard self.waitingInputs.count < ConversationRules.waitingLimit || input.isDeparture else {
            self.refuseTemporarily(origin, isSend: input.isSend, into: &effects)
            return
        }
        // Asked again before it was looked at, it is one request, which may have been done before.
        if origin.isRetry,
            let place = self.waitingInputs.firstIndex(where: { $0.origin.isSame(as: origin) })
        {
            self.waitingInputs[place] = WaitingInput(input: input, origin: origin)
        } else {
            self.waitingInputs.append(WaitingInput(input: input, origin: origin))
        }
        switch self.loadState {
        case .unloaded:
            self.loadState = .loading
            effects.append(.load)
        case .withoutRecents:
            self.loadState = .loadingRecents
            effects.append(.loadRecents)
        case .loading, .loadingRecents, .complete:
            break
        }
    }

    mutating func resumeWaiting(at now: ClockReading, into effects: inout [ConversationEffect]) {
        let waiting = self.waitingInputs
        self.waitingInputs = []
        // The first that has to wait again makes all behind it wait.
        for input in waiting {
            if input.isReconciled {
                effects.append(.answer(.done, to: input.origin))
            } else {
                self.handle(input.input, from: input.origin, at: now, into: &effects)
            }
        }
    }

    private mutating func execute(
        _ command: ChatCommand, from origin: RequestOrigin, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        do throws(ChatError) {
            switch command {
            case .post(let body): try self.post(body, from: origin, at: now, into: &effects)
            case .create(let founding):
                try self.create(founding, from: origin, at: now, into: &effects)
            case .joinAndSubscribe(let entrance):
                try self.join(entrance, subscribing: true, from: origin, at: now, into: &effects)
            case .join(let entrance):
                try self.join(entrance, subscribing: false, from: origin, at: now, into: &effects)
            case .edit(let sequence, let content, let actor):
                try self.lookUp(
                    sequence, for: actor, .edit(content: content, by: actor, origin), into: &effects
                )
            case .delete(let sequence, let actor):
                try self.lookUp(sequence, for: actor, .delete(by: actor, origin), into: &effects)
            case .read(let sequences, let user):
                try self.read(sequences, by: user, from: origin, at: now, into: &effects)
            case .readThrough(let sequence, let user):
                try self.read(through: sequence, by: user, from: origin, at: now, into: &effects)
            case .typing(let isTyping, let person):
                try self.setTyping(isTyping, by: person, at: now, into: &effects)
                effects.append(.answer(.done, to: origin))
            case .leave(let user): try self.leave(user, from: origin, at: now, into: &effects)
            case .end(let actor): try self.end(by: actor, from: origin, at: now, into: &effects)
            case .describe(let actor, let guests):
                try self.describe(for: actor, guests, from: origin, into: &effects)
            }
        } catch .unavailable {
            self.refuseTemporarily(
                origin, isSend: ConversationInput.command(command).isSend, into: &effects)
        } catch {
            effects.append(.answer(.failed(error), to: origin))
        }
    }

    /// The record, for a member, or for somebody who is admitted otherwise.
    func checkedRecord(for user: UserID, orIf isAdmitted: Bool = false) throws(ChatError)
        -> ConversationRecord
    {
        guard let record = self.record else { throw .noSuchConversation }
        guard isAdmitted || self.members.memberNumber(of: user) != nil else { throw .notAMember }
        return record
    }

    // MARK: What the store says

    /// The conversation as the store has it; nil for one that is not there.
    public mutating func loaded(
        _ loaded: LoadedConversation?, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        guard self.loadState == .loading else { return }
        let told = self.storedRevision
        let before = self.record
        // What is lost altogether is made again as it was.
        self.record =
            loaded?.record
            ?? (self.rules.retention > 0 && self.publishedRevision > 0 ? before : nil)
        if let record = self.record { self.updatedAt = record.updatedAt }
        self.members.reload(loaded?.members ?? [])
        self.head = loaded?.head ?? 0
        self.storedHead = self.head
        self.revision = loaded?.revision ?? 0
        self.storedRevision = self.revision
        self.loadedOldest = loaded?.oldest ?? 1
        self.hasFailedWrites = false
        self.discardUnacknowledged()
        self.recents = RecentMessages(next: self.head + 1, limit: self.rules.limits.recentMessages)
        self.loadState = self.head == 0 ? .complete : .withoutRecents
        if self.presence.startedAt == 0 { self.presence.startedAt = now.monotonic }
        // Something was stored of which nobody has been told.
        if self.storedRevision > told, !self.subscribers.isEmpty {
            effects.append(.requestReattach)
        }
        if self.mustReconcile(at: now) {
            self.loadState = .loading
            self.requestReconciliation(at: now, newestSuffices: true, into: &effects)
            return
        }
        self.retained = []
        self.publishedRevision = self.storedRevision
        self.publishedHead = self.storedHead
        self.resetRecovery(into: &effects)
        self.resumeWaiting(at: now, into: &effects)
    }

    /// What the store remembers of the newest messages.
    public mutating func loadedRecents(
        _ messages: [RecentMessage], at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        guard self.loadState == .loadingRecents else { return }
        // The store is not what it was when the conversation was loaded. Looked at again a few times, it may just have lost its messages.
        if !self.areNewest(messages), self.rules.retention > 0,
            self.recovery.staleReads < RecoveryState.staleReadLimit
        {
            self.recovery.staleReads += 1
            effects.append(.invalidate)
            return
        }
        self.recovery.staleReads = 0
        self.fillRecents(messages, at: now)
        self.loadState = .complete
        self.resumeWaiting(at: now, into: &effects)
    }

    /// A change has been stored: answers and events leave.
    public mutating func stored(
        _ change: Write.Change, revision: Revision, origin asked: RequestOrigin?,
        at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        guard revision != 0 else {
            if case .cursors(let user, let read, let delivered) = change {
                self.cursorsStored(
                    of: user, read: read, delivered: delivered, at: now, into: &effects)
            }
            return
        }
        self.storedRevision = revision
        self.publishedRevision = max(self.publishedRevision, revision)
        self.retainStored(change, revision, at: now)
        self.updateActivity(of: change)
        if case .message(let message) = change {
            self.storedHead = message.sequence
            self.publishedHead = max(self.publishedHead, message.sequence)
            if let event = Self.event(of: change) {
                effects.append(.event(event, revision: revision, origin: asked))
            }
            if !self.repeatedSends.isEmpty {
                self.answerRepeatedSends(of: message, at: now, into: &effects)
            }
        } else if let first = self.pendingChanges.first, first.revision == revision {
            self.pendingChanges.removeFirst()
            self.announce(first, at: now, into: &effects)
        }
        if self.recoveringThrough != 0, revision >= self.recoveringThrough {
            self.finishRecovery(at: now, into: &effects)
        }
    }

    /// Exactly what the stores take for activity.
    private mutating func updateActivity(of change: Write.Change) {
        switch change {
        case .message(let message): self.updatedAt = message.sentAt
        case .amend(_, let time), .end(let time): self.updatedAt = time
        case .create(let record): self.updatedAt = record.updatedAt
        case .member, .remove, .cursors, .skip: break
        }
    }

    /// What is said of a change as soon as it is stored, where the change alone tells: of messages, which are nearly all there is.
    public static func event(of change: Write.Change) -> ChatEvent? {
        // What nobody has any more was shown long ago by everybody who ever will.
        guard case .message(let message) = change, message.state != .deleted else { return nil }
        return .posted(message)
    }

    /// The store has not accepted a change, or could not be asked: whoever waits may try again, and what the store
    /// knows is not known any more. Who listens and who is present stays.
    ///
    /// - Parameters:
    ///   - cause: the answer to what waits and has changed nothing. Listeners ask again whatever it is: their part may be mended meanwhile.
    ///   - written: the answer to changes that have left for the store.
    public mutating func abandon(
        because cause: ChatError = .unavailable, written: ChatError = .outcomeUnknown,
        at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        self.loadState = .unloaded
        self.subscribers.resetSendOrder()
        self.recoveringThrough = 0
        self.recovery.isAwaitingHolders = false
        self.recovery.counts = RecoveryCounts()
        self.pendingLookups = 0
        self.deletedDuringLookup = []
        for change in self.pendingChanges {
            for asker in change.requesters + change.creationRequesters {
                effects.append(.answer(.failed(written), to: asker))
            }
        }
        self.pendingChanges = []
        self.failReads(because: cause, into: &effects)
        for again in self.repeatedSends {
            effects.append(.answer(.failed(written), to: again.origin))
        }
        self.repeatedSends = []
        self.revision = self.storedRevision
        let waiting = self.waitingInputs
        self.waitingInputs = []
        for input in waiting {
            switch input.input {
            case .command: effects.append(.answer(.failed(cause), to: input.origin))
            case .attach: effects.append(.answer(.failed(.unavailable), to: input.origin))
            case .unsubscribe, .detach:
                self.handle(input.input, from: input.origin, at: now, into: &effects)
            case .delivered, .offerRetained:
                self.waitingInputs.append(WaitingInput(input: input.input, origin: input.origin))
            }
        }
        if !self.waitingInputs.isEmpty || self.hasFailedWrites {
            self.wake(at: now.monotonic + ConversationRules.cursorRetryDelay, into: &effects)
        }
    }

    /// A write has failed: the store is looked at as soon as it can be, because it may have the write all the same, and listeners are to
    /// see it then.
    public mutating func writeFailed(
        because written: ChatError, at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        self.hasFailedWrites = true
        self.abandon(
            because: written == .damaged ? .damaged : .unavailable, written: written, at: now,
            into: &effects)
    }

    /// Another owns the conversation, or will: what only the owner says is taken back, and the listeners are sent there.
    public mutating func close(at now: ClockReading, into effects: inout [ConversationEffect]) {
        self.abandon(at: now, into: &effects)
        for typist in self.typingUsers {
            effects.append(.event(.typing(typist.person, false), revision: 0, origin: nil))
        }
        self.typingUsers = []
        effects.append(.requestReattach)
    }

    /// The newest messages' senders are forgotten until somebody asks: of a conversation that rests they are most of its memory.
    public mutating func trim() {
        guard self.loadState == .complete, self.revision == self.storedRevision,
            self.dirtyCursors.isEmpty, self.unstoredReads.isEmpty,
            self.recents.range.count > 64
        else { return }
        self.recents = RecentMessages(next: self.head + 1, limit: self.rules.limits.recentMessages)
        self.loadState = .withoutRecents
    }

    // MARK: Time

    /// What is due at this time is done. Called too early or once too often it does nothing.
    public mutating func tick(at now: ClockReading, into effects: inout [ConversationEffect]) {
        guard self.wakeAt != 0, self.wakeAt <= now.monotonic else { return }
        self.wakeAt = 0
        self.expireTyping(at: now, into: &effects)
        self.announcePresence(at: now, into: &effects)
        self.retryLoad(into: &effects)
        self.tickRecovery(at: now, into: &effects)
        self.flushCursors(at: now, into: &effects)
    }

    /// Reports of deliveries and moved cursors have nobody who asks again: without this they would wait, and keep the
    /// conversation in memory, until somebody happens to need it.
    private mutating func retryLoad(into effects: inout [ConversationEffect]) {
        guard self.loadState == .unloaded,
            !self.waitingInputs.isEmpty || !self.dirtyCursors.isEmpty || self.hasFailedWrites
        else { return }
        self.loadState = .loading
        effects.append(.load)
    }

    /// Asks for a `tick` at this time, unless an earlier one has been asked for.
    mutating func wake(at time: Int64, into effects: inout [ConversationEffect]) {
        guard self.wakeAt == 0 || time < self.wakeAt else { return }
        self.wakeAt = time
        effects.append(.wake(at: time))
    }
}
