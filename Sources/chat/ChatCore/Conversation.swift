import Bytes
public import ChatModel

/// One conversation, as its owner sees it: permissions, message numbers, presence and subscribers.
///
/// It decides and has no side effects: every function receives an event and appends effects. A
/// message gets its number when the command arrives. Answers and events leave when the store has
/// accepted the change, in the order of the revisions.
///
/// State from the store (members, numbers) is separate from state that only the owner has
/// (subscribers, presence). After a failed write the first is discarded and loaded again; the
/// subscribers notice nothing.
public struct Conversation: Sendable {
    /// How much of the stored state is loaded. The payloads are indirect, because every message
    /// reads the phase.
    enum Phase: Sendable {
        case unloaded
        /// Everything but messages is being read; before that, holders may have been queried for
        /// missing changes until this time.
        indirect case loading(holdersDeadline: Int64?)
        /// Messages are being read, to compare them with retained changes.
        indirect case comparing(isNewestOnly: Bool, holdersDeadline: Int64?)
        /// Changes are missing, and the loops have been queried for them.
        indirect case awaitingHolders(until: Int64)
        /// The lost changes are being written again.
        indirect case rewriting(Rewriting)
        /// All but the recent messages.
        case withoutRecents
        case loadingRecents, complete
        /// Everything, and the message to which a waiting send replies is being looked up.
        case loadingReplyTarget
    }

    struct Rewriting: Sendable {
        let through: Revision
        let counts: RecoveryCounts
        let mustReattach: Bool
    }

    enum LifecycleState: UInt8, Sendable { case missing, active, ended }

    // The state that every message uses comes first, so that it occupies few cache lines.
    var phase = Phase.unloaded
    private(set) var lifecycle = LifecycleState.missing
    /// See `ConversationKey.isInbox`.
    public let isInbox: Bool
    /// The owner sets this while the store accepts no writes.
    public var areWritesUnavailable = false
    /// The error for requests that need the store while it is unavailable.
    public var unavailability = ChatError.unavailable
    /// The last assigned number and revision, and the last stored ones.
    var head: SequenceNumber = 0
    var revision: Revision = 0
    public internal(set) var storedHead: SequenceNumber = 0
    public internal(set) var storedRevision: Revision = 0
    var lastSentAt: Int64 = 0
    /// The current value of the record's `updatedAt`. It changes with every stored message; the
    /// record itself does not.
    var updatedAt = Timestamp(milliseconds: 0)
    var messageRate = MessageRate()
    var sendRates = SendRates()
    var members = MemberTable()
    var recents: RecentMessages
    /// Loops that receive every event.
    public internal(set) var subscribers = SubscriberLoops()
    /// Repeats of sends whose message is not stored yet.
    var repeatedSends: [RepeatedSend] = []
    /// The size of the properties above.
    public static var hotBytes: Int { MemoryLayout<Self>.offset(of: \.rules)! }

    /// Changes that the store may lose, oldest first.
    var retained: [RetainedWrite] = []
    /// A write has failed since the conversation was last loaded.
    public internal(set) var hasFailedWrites = false
    /// The retained changes up to this revision come from more than one history.
    var mixedHistoryThrough: Revision = 0
    var published = PublishedThrough()
    /// How often the store's newest messages were not those of the loaded state.
    var staleReads: UInt8 = 0
    public var rules: ConversationRules
    /// Nil while the conversation does not exist.
    var record: ConversationRecord? {
        didSet {
            self.lifecycle =
                self.record == nil ? .missing : self.record?.endedAt == nil ? .active : .ended
        }
    }
    var endedBy: UserID?
    /// The oldest message in the store when the conversation was loaded.
    var loadedOldest: SequenceNumber = 1
    /// Changes in flight that are not messages, oldest first: rarely more than a few.
    var pendingChanges: [PendingChange] = []
    var waitingInputs: [WaitingInput] = []
    var pendingLookups: [SequenceNumber: PendingLookups] = [:]
    /// Reactions that are not stored yet, by message.
    var reactionBatches: [SequenceNumber: ReactionBatch] = [:]
    var completed = CompletedRequests()
    /// The pinned messages, oldest pin first.
    var pins: [Message] = []
    var threadRoots = ThreadRoots(after: 0)
    var typingUsers: [TypingUser] = []
    var presence: PresenceState
    var unstoredReads = UnstoredReads()
    var dirtyCursors: [UInt32] = []
    var cursorFlushDue: Int64 = 0
    /// Until the store has answered them, loading the conversation again could miss these cursors.
    var cursorWritesInFlight = 0
    /// The newest stored message in its present state; nil if it was stored before the conversation
    /// was loaded.
    var lastMessage: Message?
    /// When the next `tick` is due.
    public private(set) var wakeAt: Int64?

    struct WaitingInput: Sendable {
        let input: ConversationInput
        let origin: RequestOrigin
        /// For an offer: the changes that the store lacked have been sent to it.
        var isReconciled = false
    }

    struct RepeatedSend: Sendable {
        let sequence: SequenceNumber
        let body: MessageBody
        let origin: RequestOrigin
    }

    /// A conversation without loaded state: the first command loads it from the store.
    ///
    /// - Parameter ownedSince: a monotonic millisecond since which this owner receives what loops
    ///   report.
    public init(rules: ConversationRules, isInbox: Bool = false, ownedSince: Int64 = .min / 2) {
        self.rules = rules
        self.isInbox = isInbox
        self.presence = PresenceState(ownedSince: ownedSince)
        self.recents = RecentMessages(next: 1, limit: rules.limits.recentMessages)
    }

    /// The oldest message that can be read; head + 1 if there is none.
    var oldest: SequenceNumber {
        let history = self.rules.limits.historyLimit
        return history == 0
            ? self.loadedOldest : max(self.loadedOldest, self.storedHead - history + 1)
    }

    /// Changes were sent to the store since the conversation was loaded, and are not answered yet.
    public var hasWritesInFlight: Bool { self.revision != self.storedRevision }

    /// No loop subscribes and nothing is in flight: the conversation may be dropped and loaded
    /// again on demand.
    public var isIdle: Bool {
        self.subscribers.isEmpty && !self.hasWritesInFlight
            && self.waitingInputs.isEmpty && self.pendingLookups.isEmpty
            && self.reactionBatches.isEmpty
            && self.dirtyCursors.isEmpty && self.cursorWritesInFlight == 0
            && self.unstoredReads.isEmpty
            && self.presence.dueMembers.isEmpty && self.typingUsers.isEmpty
            && !self.phase.isReading
    }

    /// Prefetches the memory that the next post reads. Mutating, because that avoids a copy.
    public mutating func prefetch() {
        self.members.prefetch()
        self.recents.prefetch(self.head)
    }

    // MARK: Inputs

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
        switch self.phase {
        case .complete: self.unknownReplyTarget(of: input) == nil
        case .withoutRecents: !input.needsRecents
        // Only reports and offers wait in this state, and a departure may overtake them.
        case .unloaded: input.isDeparture
        // All inputs wait. Otherwise a command would overtake another one of the same client.
        case .loading, .comparing, .awaitingHolders, .rewriting, .loadingRecents,
            .loadingReplyTarget:
            false
        }
    }

    private mutating func deferInput(
        _ input: ConversationInput, _ origin: RequestOrigin,
        into effects: inout [ConversationEffect]
    ) {
        // A departure is always accepted: there are no more of them than arrivals, and a lost one
        // would never be repeated.
        guard self.waitingInputs.count < ConversationRules.waitingLimit || input.isDeparture else {
            self.refuseTemporarily(origin, isSend: input.isSend, into: &effects)
            return
        }
        // A retry replaces the request that still waits. It counts as a retry, because it may have
        // been executed before.
        if origin.isRetry,
            let index = self.waitingInputs.firstIndex(where: { $0.origin.isSame(as: origin) })
        {
            self.waitingInputs[index] = WaitingInput(input: input, origin: origin)
        } else {
            self.waitingInputs.append(WaitingInput(input: input, origin: origin))
        }
        switch self.phase {
        case .unloaded:
            self.reload(into: &effects)
        case .withoutRecents:
            self.phase = .loadingRecents
            effects.append(.loadRecents)
        case .complete:
            guard let target = self.unknownReplyTarget(of: input) else { break }
            self.phase = .loadingReplyTarget
            self.lookUpReplyTarget(target, into: &effects)
        case .loadingReplyTarget:
            if let target = self.unknownReplyTarget(of: input) {
                self.lookUpReplyTarget(target, into: &effects)
            }
        case .loading, .comparing, .awaitingHolders, .rewriting, .loadingRecents:
            break
        }
    }

    mutating func resumeWaiting(at now: ClockReading, into effects: inout [ConversationEffect]) {
        let waiting = self.waitingInputs
        self.waitingInputs = []
        // If an input has to wait again, all later ones wait too.
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
        if self.isInFlight(command, from: origin) { return }
        do throws(ChatError) {
            switch command {
            case .post(let body): try self.post(body, from: origin, at: now, into: &effects)
            case .create(let new):
                try self.create(new, from: origin, at: now, into: &effects)
            case .joinAndSubscribe(let request):
                try self.join(request, subscribing: true, from: origin, at: now, into: &effects)
            case .join(let request):
                try self.join(request, subscribing: false, from: origin, at: now, into: &effects)
            case .edit(let sequence, let content, let principal):
                try self.admitChange(by: principal, from: origin, at: now)
                try self.lookUp(
                    sequence, for: principal,
                    .amend(.edited(content: content), by: principal, origin), into: &effects)
            case .delete(let sequence, let principal):
                try self.admitChange(by: principal, from: origin, at: now)
                try self.lookUp(
                    sequence, for: principal, .amend(.deleted, by: principal, origin),
                    into: &effects)
            case .react(let sequence, let emoji, let isOn, let principal):
                try self.admitChange(by: principal, from: origin, at: now)
                try self.react(
                    to: sequence, emoji, isOn: isOn, by: principal, from: origin, at: now,
                    into: &effects)
            case .pin(let sequence, let principal):
                try self.admitChange(by: principal, from: origin, at: now)
                try self.setPin(
                    true, of: sequence, by: principal, from: origin, at: now, into: &effects)
            case .unpin(let sequence, let principal):
                try self.admitChange(by: principal, from: origin, at: now)
                try self.setPin(
                    false, of: sequence, by: principal, from: origin, at: now, into: &effects)
            case .pins(let principal, let readAccess):
                try self.answerPins(for: principal, readAccess, to: origin, into: &effects)
            case .read(let sequences, let user):
                try self.read(sequences, by: user, from: origin, at: now, into: &effects)
            case .readThrough(let sequence, let user):
                try self.read(through: sequence, by: user, from: origin, at: now, into: &effects)
            case .typing(let isTyping, let person):
                try self.setTyping(isTyping, by: person, at: now, into: &effects)
                effects.append(.answer(.done, to: origin))
            case .leave(let user): try self.leave(user, from: origin, at: now, into: &effects)
            case .addMember(let person, let principal):
                try self.addMember(person, by: principal, from: origin, at: now, into: &effects)
            case .removeMember(let user, let principal):
                try self.removeMember(user, by: principal, from: origin, at: now, into: &effects)
            case .update(let update, let principal):
                try self.admitChange(by: principal, from: origin, at: now)
                try self.update(update, by: principal, from: origin, at: now, into: &effects)
            case .receipts(let user): try self.answerReceipts(to: user, origin, into: &effects)
            case .end(let principal):
                try self.end(by: principal, from: origin, at: now, into: &effects)
            case .describe(let principal, let readAccess, let selection):
                try self.describe(
                    for: principal, readAccess, selection, from: origin, into: &effects)
            }
        } catch .unavailable {
            self.refuseTemporarily(
                origin, isSend: ConversationInput.command(command).isSend, into: &effects)
        } catch {
            effects.append(.answer(.failed(error), to: origin))
        }
    }

    /// The record, for a member or a user that may read the conversation.
    func readableRecord(for user: UserID, _ readAccess: ReadAccess) throws(ChatError)
        -> ConversationRecord
    {
        let isOpen = self.record?.joinPolicy == .open
        // The token of an anonymous user is part of the link.
        let readAccess = readAccess == .anyone && user.isAnonymous ? .anyoneIfOpen : readAccess
        if readAccess == .anyoneIfOpen, self.wasRemoved(user) {
            throw isOpen ? .wasRemoved : self.refusalOfNonMember
        }
        return try self.checkedRecord(
            for: user, orIf: readAccess == .anyone || readAccess == .anyoneIfOpen && isOpen)
    }

    /// The answer to a user that is no member. A closed conversation is answered as an unknown one,
    /// so that no other user learns of it.
    var refusalOfNonMember: ChatError {
        self.record?.joinPolicy == .open ? .notAMember : .noSuchConversation
    }

    // MARK: Time

    /// Does what is due at this time. An early or repeated call does nothing.
    public mutating func tick(at now: ClockReading, into effects: inout [ConversationEffect]) {
        guard let wakeAt = self.wakeAt, wakeAt <= now.monotonic else { return }
        self.wakeAt = nil
        self.expireTyping(at: now, into: &effects)
        self.announcePresence(at: now, into: &effects)
        self.tickReactions(at: now, into: &effects)
        self.retryLoad(into: &effects)
        self.tickRecovery(at: now, into: &effects)
        self.flushCursors(at: now, into: &effects)
    }

    /// Loads the conversation for waiting delivery reports and moved cursors. They have no
    /// requester that retries: without this they would keep the conversation in memory until the
    /// next command.
    private mutating func retryLoad(into effects: inout [ConversationEffect]) {
        guard !self.waitingInputs.isEmpty || !self.dirtyCursors.isEmpty || self.hasFailedWrites
        else { return }
        self.reload(into: &effects)
    }

    /// Requests a `tick` at this time, unless an earlier one is already requested.
    mutating func wake(at time: Int64, into effects: inout [ConversationEffect]) {
        guard time < self.wakeAt ?? .max else { return }
        self.wakeAt = time
        effects.append(.wake(at: time))
    }
}

extension Conversation.Phase {
    /// The state of the store is loaded, and inputs are handled.
    var isServing: Bool {
        switch self {
        case .withoutRecents, .loadingRecents, .complete, .loadingReplyTarget: true
        case .unloaded, .loading, .comparing, .awaitingHolders, .rewriting: false
        }
    }

    /// An answer of the store is due.
    var isReading: Bool {
        switch self {
        case .unloaded, .withoutRecents, .complete: false
        case .loading, .comparing, .awaitingHolders, .rewriting, .loadingRecents,
            .loadingReplyTarget:
            true
        }
    }
}
